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
    assert sort_programs(map(process, programs), RULES) == ({chosen: "interpreter"}, set())
