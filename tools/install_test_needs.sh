#!/bin/sh
# Install what the tests need: Debian's packages (as root, where they are missing), Python's into the given interpreter's
# environment, and beside them, in its folder node/, an OpenID provider. Usage: install_test_needs.sh PYTHON
set -eu
python=$1
tests=$(dirname "$0")/../tests

missing=
for package in $(sed 's/#.*//' "$tests/debian-packages.txt"); do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
# Node comes from Debian only where there is none: other builds of it do not go together with Debian's npm.
command -v node >/dev/null && command -v npm >/dev/null || missing="$missing nodejs npm"
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq
        # shellcheck disable=SC2086  a list of names
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
    else
        echo "the tests need these Debian packages, and will skip what lacks them:$missing" >&2
    fi
fi

# An older and a newer libc than the build's, each with a program or two, unpacked beside the environment.
repository=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep '/debian/*$' | head -n 1) || true
for release in bullseye trixie; do
    target=$(dirname "$python")/../libc/$release
    if [ -z "$repository" ] || [ -d "$target" ]; then
        continue
    fi
    work=$(mktemp -d)
    mkdir -p "$work/lists/partial" "$work/archives/partial"
    echo "deb $repository $release main" >"$work/sources.list"
    get() {
        apt-get -qq -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
            -o "Dir::State::Lists=$work/lists" -o Dir::State::Status=/dev/null -o "Dir::Cache=$work" \
            -o APT::Sandbox::User= "$@"
    }
    if get update && (cd "$work" && get download libc6 libc-bin dash); then
        for package in "$work"/*.deb; do
            dpkg-deb -x "$package" "$work/root"
        done
        mkdir -p "$(dirname "$target")"
        mv "$work/root" "$target"
    else
        echo "Debian's $release cannot be had here: the tests of its libc will be skipped" >&2
    fi
    rm -rf "$work"
done

for list in "$tests"/requirements.txt "$tests"/requirements-server.txt; do
    "$python" "$(dirname "$0")/install.py" -r "$list"
done

node=$("$python" -c 'import sys; print(sys.prefix)')/node
if command -v npm >/dev/null; then
    mkdir -p "$node"
    cp "$tests/glaas/provider/package.json" "$tests/glaas/provider/package-lock.json" "$node"
    npm ci --prefix "$node" --silent --ignore-scripts --no-audit --no-fund
fi
