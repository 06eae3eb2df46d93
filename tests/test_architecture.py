"""The structure that must stay: the folders are the data flow, the server and the client meet at the wire."""

import ast
import importlib.util
import subprocess
import sys
import zipfile
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
ORDER = ("errors", "shell", "model", "credentials", "wire", "workspace", "config", "observe", "analyze", "record",
         "query", "present", "publish", "transfer", "commands", "cli")
FREE = {"testing", "__main__", "__init__"}  # for authors of plug-ins, and entry points


def modules(package):
    return sorted((SOURCE / package).rglob("*.py"))


def imports(path):
    """Every (module, line, inside a function) that a file imports, type-checking blocks included."""
    tree = ast.parse(path.read_text())
    inside = {id(node) for function in ast.walk(tree) if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
              for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, id(node) in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno, id(node) in inside


def stage(module):
    """The folder (or top module) of roar that a dotted name lies in."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "roar" else None


def test_no_stage_imports_a_later_one():
    wrong = []
    for path in modules("roar"):
        here = stage(".".join(path.relative_to(SOURCE).with_suffix("").parts))
        if here in FREE or here is None:
            continue
        for module, line, _ in imports(path):
            there = stage(module)
            if there and there not in FREE and ORDER.index(there) > ORDER.index(here):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {module}")
    assert wrong == []


def test_every_stage_is_known():
    found = {path.stem if path.parent == SOURCE / "roar" else path.relative_to(SOURCE / "roar").parts[0]
             for path in modules("roar")}
    assert found - FREE - {"_native"} == set(ORDER)


def test_no_two_folders_import_each_other():
    edges = defaultdict(set)
    for package in ("roar", "glaas"):
        for path in modules(package):
            here = ".".join(path.relative_to(SOURCE).parent.parts)
            for module, _, _ in imports(path):
                if module.startswith(("roar.", "glaas.")):
                    target = SOURCE.joinpath(*module.split("."))
                    folder = module if target.is_dir() else module.rpartition(".")[0]
                    if folder not in {here, "roar", "glaas"} and here not in {"roar", "glaas"}:
                        edges[here].add(folder)
    assert [(a, b) for a in sorted(edges) for b in edges[a]
            if a < b and a in edges.get(b, ()) and not b.startswith(a + ".")] == []


def test_the_server_meets_the_client_only_at_the_wire():
    allowed = {"roar.wire", "roar.errors", "roar.shell", "roar"}
    wrong = [f"{path.name}:{line} imports {module}" for path in modules("glaas") for module, line, _ in imports(path)
             if module.split(".")[0] == "roar" and module not in allowed]
    assert wrong == []


def test_the_client_imports_the_server_only_through_two_doors():
    found = {(str(path.relative_to(SOURCE)), module) for path in modules("roar") for module, _, _ in imports(path)
             if module.split(".")[0] == "glaas"}
    assert found <= {("roar/commands/ui.py", "glaas.embedded"), ("roar/commands/export.py", "glaas.offline")}


def test_present_never_opens_the_database():
    wrong = [path.name for path in modules("roar/present") for module, _, _ in imports(path)
             if module == "sqlite3" or module.startswith("roar.record")]
    assert wrong == []


def test_every_import_inside_a_function_says_why():
    wrong = []
    for package in ("roar", "glaas"):
        for path in modules(package):
            lines = path.read_text().splitlines()
            wrong += [f"{path.relative_to(ROOT)}:{line}" for _, line, inside in imports(path)
                      if inside and "noqa: PLC0415" not in lines[line - 1] and "PLC0415" not in lines[line - 1]]
    assert wrong == []


def loaded(*arguments):
    """The modules that a `roar` command line has loaded when it is done."""
    code = ("import sys; sys.argv[0] = 'roar'\nfrom roar.cli import main\n"
            "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
            "print('\\n'.join(sorted(sys.modules)), file=sys.stderr)")
    done = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}", *arguments],
                          capture_output=True, text=True, check=False)
    return set(done.stderr.split())


@pytest.mark.parametrize(("arguments", "never"), [
    (["--help"], {"argparse", "dataclasses", "sqlite3", "roar.config", "re", "rich", "blake3"}),
    (["--version"], {"argparse", "dataclasses", "sqlite3", "roar.config", "re", "rich", "blake3"}),
    (["export", "--help"], {"rich", "blake3", "glaas", "pydantic", "cyclonedx", "importlib.metadata"}),
    (["put", "--help"], {"rich", "obstore", "boto3", "urllib.request", "importlib.metadata"}),
    (["get", "--help"], {"rich", "obstore", "boto3", "urllib.request", "importlib.metadata"}),
    (["log", "--help"], {"rich", "blake3", "urllib.request", "importlib.metadata", "roar.analyze.trackers.wandb"}),
])
def test_what_a_verb_must_not_import(arguments, never):
    assert loaded(*arguments) & never == set()


def test_a_server_starts_without_the_libraries_of_exports():
    code = "import sys, glaas.cli, glaas.app; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & {
        "cyclonedx", "openlineage.client", "prov", "rocrate", "requests", "igraph", "matplotlib"} == set()


def test_a_graph_is_laid_out_without_the_library_that_igraph_would_draw_with():
    assert importlib.util.find_spec("matplotlib") is not None
    code = ("import sys; from glaas.igraph_alone import load_igraph; load_igraph().Graph.Ring(3).layout_sugiyama();"
            " print('matplotlib' in sys.modules); import matplotlib; print(matplotlib.__name__)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "matplotlib"]


def test_without_its_libraries_the_server_says_how_to_install_them():
    code = "import sys; sys.modules['sqlalchemy'] = None; from glaas.command import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    said, hint = done.stderr.splitlines()
    assert said == "glaas: The server part is not installed (sqlalchemy.exc is missing)."
    assert "pip install '.[server]'" in hint


def test_the_wheel_holds_what_it_should(tmp_path):
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
                    "--wheel-dir", tmp_path, ROOT], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith("roar_lineage-")
    assert "-py3-none-" in wheel.name
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {str(path.relative_to(SOURCE)) for package in ("roar", "glaas") for path in (SOURCE / package).rglob("*")
               if path.is_file() and "__pycache__" not in path.parts and "_native" not in path.parts}
    native = {f"roar/_native/{name}" for name in (
        "roar-tracer", "roar-folders", "roar-witness", "libroar-preload.so", "roar-canary")}
    assert {name for name in names if ".dist-info/" not in name} == sources | native
    assert any(name.endswith("licenses/LICENSE") for name in names)
