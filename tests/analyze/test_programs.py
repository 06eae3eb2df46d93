"""Programs and libraries whose version is not recorded."""

from roar.analyze.fold import PathUse, Uses
from roar.analyze.plumbing import Plumbing
from roar.analyze.programs import sort_programs, unversioned_libraries
from roar.observe.trace import Process

RULES = Plumbing(home="/home/ann", base="/w")


def process(executable):
    return Process(pid=1, ppid=0, argv=(executable,), executable=executable, cwd="/w", started_ns=0)


def test_a_python_that_the_administrator_installed_has_its_version():
    """As in the official images of Python, where all of it lies in /usr/local."""
    packages = "/usr/local/lib/python3.11/site-packages"
    programs = ("/usr/local/bin/python3.11", f"{packages}/wandb/bin/wandb-core", "/usr/local/bin/uv", "/usr/bin/sed",
                "/usr/local/lib/python3.11/dist-packages/ray/core/src/ray/raylet/raylet", "/opt/tool", "/w/tool")
    assert sort_programs(map(process, programs), RULES) == ({}, {})
    libraries = ("/usr/local/lib/libpython3.11.so.1.0", "/usr/local/lib/python3.11/lib-dynload/_json.so",
                 f"{packages}/numpy/core/a.so", "/usr/lib/x86_64-linux-gnu/libc.so.6", "/w/own.so",
                 "/opt/conda/lib/libmkl.so.2", "/home/ann/.triton/cache/x/k.so",
                 "/usr/local/nvidia/lib64/libcuda.so.1", "/home/ann/.cache/torch_extensions/py311/k/k.so")
    assert unversioned_libraries(Uses({path: PathUse(path=path, read=True) for path in libraries}), RULES) == {}


def test_what_has_no_version():
    programs = {"/usr/local/bin/duckdb": "system", "/home/ann/.nvm/versions/node/v20/bin/node": "interpreter",
                "/home/ann/.local/bin/tool": "settings", "/opt/conda/bin/samtools": "interpreter"}
    assert sort_programs(map(process, programs), RULES) == (programs, {})
    libraries = {"/usr/local/lib/libx.so.1": "system", "/usr/local/cuda/lib64/libcudart.so.12": "system",
                 "/opt/x/lib/libf.so": "libraries", "/home/ann/.local/lib/libf.so": "libraries"}
    assert unversioned_libraries(Uses({path: PathUse(path=path, read=True) for path in libraries}), RULES) == libraries


def test_what_only_chooses_a_python_has_no_effect():
    shims = ("shims/python3", "libexec/pyenv-exec", "bin/pyenv", "plugins/pyenv-virtualenv/bin/pyenv-activate")
    chosen = "/home/ann/.rbenv/versions/3.2/bin/ruby"
    programs = (*(f"/home/ann/.pyenv/{name}" for name in shims), "/home/ann/.asdf/shims/python3",
                "/home/ann/.pyenv/versions/3.11.7/bin/python3.11", "/home/ann/.rbenv/shims/ruby", chosen)
    assert sort_programs(map(process, programs), RULES) == ({chosen: "interpreter"}, {})


def test_scripts_and_modules_of_the_user_are_known_as_far_as_a_distribution_names_them(tmp_path):
    local = tmp_path / ".local"
    own = ("bin/prep", "bin/edited", "bin/up.pl", "share/mylib/mm.py", "share/fns.sh", "src/part/edited.py")
    installed = ("bin/tool", "share/tool/run.py", "lib/target/one.py", "envs/c/etc/activate.d/a.sh")
    others = ("bin/uv", "bin/env", "bin/machine-code", "share/x.csv", "lib/python3.11/site-packages/x.py",
              "share/uv/python/cpython-3.11/lib/python3.11/json/__init__.py")
    for name in (*own, *installed, *others):
        (local / name).parent.mkdir(parents=True, exist_ok=True)
        (local / name).write_text("\x7fELF" if name == "bin/machine-code" else "text")
    (local / "envs/c/conda-meta").mkdir()
    rows = ("bin/tool,sha256=x,4", "bin/edited,,5", "share/tool/run.py,,", "src/part/edited.py,,9")
    for folder, record in (("lib/python3.11/site-packages", "".join(f"../../../{row}\n" for row in rows)),
                           ("lib/target", "one.py,sha256=x,4\n")):
        (local / folder / "tool-1.dist-info").mkdir(parents=True)
        (local / folder / "tool-1.dist-info/RECORD").write_text(record)
    (local / "bin/linked").symlink_to("../share/mylib/mm.py")
    (local / "bin/system").symlink_to("/usr/bin/sed")
    paths = [str(local / name) for name in (*own, *installed, *others, "bin/linked", "bin/system")]
    uses = Uses({path: PathUse(path=path, read=True) for path in paths})
    written = str(local / "bin/written")
    uses.opened[written] = PathUse(path=written, written=True)
    rules = Plumbing(home=str(tmp_path), base=str(tmp_path / "w"))
    wanted = {str(local / name): "settings" for name in (*own, "bin/linked")}
    assert unversioned_libraries(uses, rules) == wanted
    assert unversioned_libraries(uses, Plumbing(home=str(tmp_path), base=str(local / "src/part"))) == {
        path: category for path, category in wanted.items() if "/src/part/" not in path}
