"""What is an artifact and what is not."""

import pytest

from roar.analyze.fold import PathUse, Uses
from roar.analyze.plumbing import KEPT, RULES, Plumbing, environment_roots, is_source
from roar.observe.folders import FolderFiles

HOME = "/home/ann"


@pytest.fixture(scope="module")
def rules():
    return Plumbing(home=HOME, roots=["/home/ann/p/.venv"], base="/home/ann/p")


@pytest.mark.parametrize("path", [
    "/home/ann/p/data/train.csv", "/data/images/1.png", "/mnt/x/model.pt", "/tmp/out.txt", "/home/ann/p/wandb/x",
    "/home/ann/.cache/huggingface/hub/models--bert/blobs/0a1b", "/home/ann/.cache/torch/hub/checkpoints/resnet.pth",
    "/home/ann/.cache/huggingface/datasets/squad/plain/0.0.0/train.arrow", "/home/ann/p/libs/note.so.txt",
    "/home/ann/p/user/x", "/home/ann/p/etc/settings.yaml", "/opt/data/x.bin", "/home/ann/p/gitignore.txt",
    "/home/ann/p/roar/x", "/srv/run/1", "/home/ann/p/proc/1", "/var/tmp/x",
    "/dev/shm/images/1.png", "/dev/shm/model.pt", "/run/media/ann/disk/train.csv",
    "/home/ann/.cache/kagglehub/datasets/u/d/versions/1/t.csv", "/home/ann/.cache/whisper/base.pt",
    "/home/ann/.cache/modelscope/hub/models/a/b/config.json", "/home/ann/.cache/x/y/model.safetensors",
])
def test_data_is_kept(rules, path):
    assert rules.category(path) == KEPT


@pytest.mark.parametrize(("path", "category"), [
    ("/usr/lib/locale/locale-archive", "system"), ("/proc/1/maps", "system"), ("/etc/passwd", "system"),
    ("/dev/null", "system"), ("/dev/shm/psm_1a2b3c4d", "system"), ("/dev/shm/sem.mp-x1y2", "system"),
    ("/dev/shm/torch_4242_1_0", "system"), ("/dev/shm/env/lib/python3.11/json/__init__.py", "interpreter"),
    ("/home/ann/p/.venv/bin/wandb", "interpreter"), ("/home/ann/p/__pycache__/a.cpython-311.pyc", "bytecode"),
    ("/opt/conda/lib/python3.11/json/__init__.py", "interpreter"), ("/opt/x/site-packages/numpy/a.py", "packages"),
    ("/home/ann/p/.git/index", "git"), ("/home/ann/p/.roar/roar.db", "roar"),
    ("/home/ann/lib/libx.so.1.2", "libraries"),
    ("/run/user/1000/x", "system"), ("/memfd:x (deleted)", "system"),
    ("/home/ann/.cache/kagglehub/datasets/u/d/1.complete", "cache"),
    ("/home/ann/.cache/modelscope/hub/.lock/a", "cache"), ("/home/ann/.cache/modelscope/hub/a/b/.msc", "cache"),
    ("/home/ann/.cache/pip/x", "cache"), ("/home/ann/.cache/huggingface/hub/.locks/a.lock", "cache"),
    ("/home/ann/.netrc", "settings"), ("/home/ann/.config/matplotlib/x", "settings"),
    ("/home/ann/.pyenv/versions/3.11.7/bin/python", "interpreter"),
    ("/home/ann/.pyenv/version", "interpreter"), ("/tmp/torchinductor_ann/x/y.so", "libraries"),
    ("/tmp/torchinductor_ann/x/y.py", "cache"),
])
def test_plumbing_is_left_out_by_category(rules, path, category):
    assert rules.category(path) == category


def test_settings_add_and_remove():
    rules = Plumbing(home=HOME, base="/w", add=["/usr/share/dict/*", "cfg/.git/x"], remove=["scratch", "*.log"])
    assert rules.category("/usr/share/dict/words") == KEPT
    assert rules.category("/w/cfg/.git/x") == KEPT
    assert rules.category("/w/scratch/deep/file") == "filters"
    assert rules.category("/w/a.log") == "filters"
    assert rules.category("/v/scratch") == KEPT


def test_a_virtual_environment_is_known_by_its_pyvenv_cfg():
    closed = FolderFiles(folder="/b/e", names=b"other\0pyvenv.cfg\0", times=b"", signatures=b"")
    opened = {path: PathUse(path=path) for path in ("/a/e/pyvenv.cfg", "/a/e/bin/python", "/c/no_pyvenv.cfg")}
    assert environment_roots(Uses(opened, [closed])) == {"/a/e", "/b/e"}


def test_sources_by_name():
    assert is_source("/p/train.py")
    assert is_source("/p/Makefile")
    assert not is_source("/p/train.csv")


def test_every_rule_says_why():
    assert all(rule.why and rule.category for rule in RULES)
