#!/bin/sh
# Install what the tests need: Debian's packages (as root, where they are missing) and Python's into the given interpreter's
# environment. Usage: install_test_needs.sh PYTHON
set -eu
python=$1
tests=$(dirname "$0")/../tests

missing=
for package in $(sed 's/#.*//' "$tests/debian-packages.txt"); do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq
        # shellcheck disable=SC2086  a list of names
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
    else
        echo "the tests need these Debian packages, and will skip what lacks them:$missing" >&2
    fi
fi

for list in "$tests"/requirements.txt "$tests"/requirements-server.txt; do
    "$python" -m pip install --quiet --disable-pip-version-check -r "$list"
done
