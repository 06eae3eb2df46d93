"""What is an artifact and what is not."""

import os

import pytest

from roar.analyze.caches import find_moved_caches
from roar.analyze.fold import PathUse, Uses
from roar.analyze.plumbing import KEPT, RULES, Plumbing, environment_roots
from roar.analyze.sources import is_source
from roar.observe.folders import FolderFiles
from roar.observe.trace import Process

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
    "/usr/src/datasets/coco8/1.jpg", "/usr/local/share/nltk_data/corpora/words.zip", "/dev/shm/torch_data/train.npy",
    "/home/ann/.cache/seaborn/iris.csv", "/home/ann/.cache/mine/features.parquet",
    "/home/ann/.local/share/tts/m/a.json",
    "/home/ann/p/.git/annex/objects/Xx/Yy/SHA256E-s5--abc.csv/SHA256E-s5--abc.csv", "/home/ann/p/.venv/nltk_data/t",
    "/home/ann/p/.venv/src/part-one/part_one.py", "/home/ann/p/.venv/notes.csv",
    "/home/ann/p/data/R/spectral-library/a.csv", "/home/ann/p/data/fontconfig/c.csv",
    "/home/ann/p/data/conda/lib/b.csv",
    "/home/ann/p/genome/lib/python3/x.csv",
    "/home/ann/.cache/torch/hub/pytorch_vision_main/hubconf.py", "/home/ann/p/matplotlib-examples/data.csv",
    "/home/ann/.cache/huggingface/modules/transformers_modules/a/b/modeling_b.py",
    "/data/train_lmdb/data.mdb", "/data/train.lmdb", "/data/block.mdb", "/home/ann/p/yarn-lock",
    "/home/ann/p/.snakemake/storage/s3/bucket/a.csv", "/home/ann/p/.snakemake/shadow/tmp1/r.txt",
    "/home/ann/p/.snakemake/conda/0a1b_.yaml",
    "/home/ann/p/work/3f/70944c7a549b6221e1ccc7b4b21b62/reads.csv", "/home/ann/p/work/3f/command.sh.txt",
    "/home/ann/p/work/3f/70944c7a549b6221e1ccc7b4b21b62/.command.out", "/home/ann/.prefect/storage/0a1b",
    "/home/ann/p/.snakemake.csv", "/home/ann/p/ray/token.csv", "/home/ann/p/kaggle.json", "/home/ann/p/.ray/x.csv",
])
def test_data_is_kept(rules, path):
    assert rules.category(path) == KEPT


@pytest.mark.parametrize(("path", "category"), [
    ("/usr/lib/locale/locale-archive", "system"), ("/proc/1/maps", "system"), ("/etc/passwd", "system"),
    ("/dev/null", "system"), ("/dev/shm/psm_1a2b3c4d", "system"), ("/dev/shm/sem.mp-x1y2", "system"),
    ("/dev/shm/torch_4242_1_0", "system"), ("/dev/shm/env/lib/python3.11/json/__init__.py", "interpreter"),
    ("/home/ann/p/.venv/share/x/a.json", "interpreter"), ("/home/ann/p/.venv/include/site/x.h", "interpreter"),
    ("/home/ann/p/.venv/bin/wandb", "interpreter"), ("/home/ann/p/__pycache__/a.cpython-311.pyc", "bytecode"),
    ("/dev/shm/pymp-a1b2/listener-x", "system"), ("/usr/src/linux-headers-6.1/x.h", "system"),
    ("/home/ann/p/node_modules/p/index.js", "unversioned"), ("/opt/conda/share/x", "interpreter"),
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
    ("/tmp/torchinductor_ann/x/y.py", "cache"), ("/home/ann/.cache/torch/hub/trusted_list", "cache"),
    ("/tmp/matplotlib-a1b2c3d4/fontlist-v390.json", "cache"),
    ("/home/ann/.cache/torch/hub/a_b_main/__pycache__/hubconf.cpython-311.pyc", "bytecode"),
    ("/home/ann/.cache/huggingface/modules/transformers_modules/__init__.py", "cache"),
    ("/home/ann/R/x86_64-pc-linux-gnu-library/4.3/dplyr/R/dplyr.rdb", "unversioned"),
    ("/home/ann/p/renv/library/R-4.3/x86_64-pc-linux-gnu/rlang/DESCRIPTION", "unversioned"),
    ("/home/ann/.julia/packages/CSV/XLcqT/src/CSV.jl", "unversioned"),
    ("/home/ann/go/pkg/mod/golang.org/x/sys@v0.1.0/unix/a.go", "unversioned"),
    ("/home/ann/p/train_lmdb/lock.mdb", "cache"), ("/data/x.lmdb-lock", "cache"), ("/data/x.mdb-lock", "cache"),
    ("/data/train_lmdb-lock", "cache"), ("/data/x.db-lock", "cache"),
    ("/home/ann/p/.snakemake/metadata/ci50eHQ=", "workflow"), ("/home/ann/p/.snakemake/log/1.log", "workflow"),
    ("/home/ann/p/.snakemake/scripts/tmp1.sc.py", "workflow"), ("/home/ann/p/out/.snakemake_timestamp", "workflow"),
    ("/home/ann/p/.snakemake/conda/0a1b_/share/x", "interpreter"),
    ("/home/ann/p/.nextflow/cache/0a/db/000003.log", "workflow"), ("/home/ann/p/.nextflow.log.2", "workflow"),
    ("/home/ann/p/work/3f/70944c7a549b6221e1ccc7b4b21b62/.command.sh", "workflow"),
    ("/home/ann/p/work/3f/70944c7a549b6221e1ccc7b4b21b62/.exitcode", "workflow"),
    ("/home/ann/p/dask-worker-space/worker-1/storage/x", "workflow"),
    ("/tmp/dask-scratch-space/worker-1/storage/x", "workflow"), ("/home/ann/.prefect/prefect.db", "settings"),
    ("/home/ann/.ray/auth_token", "settings"), ("/home/ann/.kaggle/kaggle.json", "settings"),
    ("/home/ann/.pgpass", "settings"), ("/home/ann/.git-credentials", "settings"), ("/home/ann/.s3cfg", "settings"),
    ("/home/ann/.databrickscfg", "settings"), ("/home/ann/.huggingface/token", "settings"),
    ("/home/ann/.snowflake/config.toml", "settings"), ("/home/ann/.my.cnf", "settings"),
    ("/home/ann/clearml.conf", "settings"), ("/home/ann/.npmrc", "settings"), ("/home/ann/.boto", "settings"),
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


@pytest.mark.parametrize(("pattern", "matched", "others"), [
    ("**/*.log", ["a.log", "x/b.log", "x/y/c.log"], ["a.log2"]),
    ("data/**/tmp", ["data/tmp", "data/x/tmp", "data/x/y/tmp/a"], ["data2/tmp", "data/xtmp"]),
    ("a*/**/**/b*c*d", ["a1/b2c3d", "a1/x/bcd", "ab/bc/cd/bcd"], ["a1bcd"]),
    ("**/data", ["data/a", "x/data/a"], ["mydata"]),
    ("./data/", ["data/a", "data/x/b"], ["data2", "x/data/a"]), ("data/./x//y", ["data/x/y"], []),
    ("./*.log", ["a.log"], ["log"]), ("data/**", ["data/a", "data/x/a"], ["a"]), (".", ["a", "x/b"], []),
    ("~/kept/", ["/home/kept/x"], ["kept/x"]), ("../[ab]/", ["/v/a/x"], ["a/x", "/v/c/x"]),
])
def test_patterns_of_the_settings(monkeypatch, pattern, matched, others):
    monkeypatch.setenv("HOME", "/home")
    rules = Plumbing(home=HOME, base="/v/w[1]", remove=[pattern])
    paths = [*matched, *others]
    assert [path for path in paths if rules.category(os.path.join("/v/w[1]", path)) == "filters"] == matched


def test_a_virtual_environment_is_known_by_its_pyvenv_cfg():
    closed = FolderFiles(folder="/b/e", names=b"other\0pyvenv.cfg\0", times=b"", signatures=b"")
    opened = {path: PathUse(path=path) for path in ("/a/e/pyvenv.cfg", "/a/e/bin/python", "/c/no_pyvenv.cfg")}
    assert environment_roots(Uses(opened, [closed]), ()) == {"/a/e", "/b/e"}


def test_an_environment_of_conda_is_known_by_its_programs(tmp_path):
    for folder in ("one/conda-meta", "one/bin", "other/bin"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "one/bin/R")
    programs = [f"{tmp_path}/{name}" for name in ("one/bin/python3.12", "other/bin/python", "link")]
    processes = [Process(pid=1, ppid=0, argv=(), executable=program, cwd="/", started_ns=0) for program in programs]
    for some in (processes[:2], processes[1:]):
        assert environment_roots(Uses({}), some) == {f"{tmp_path}/one"}
    rules = Plumbing(home=HOME, roots=[f"{tmp_path}/one"], base=str(tmp_path))
    for name in ("bin/python3.12", "lib/libssl.so.3"):
        assert rules.category(f"{tmp_path}/one/{name}") == "interpreter"


def test_a_home_that_is_a_symlink_has_both_names(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "home").symlink_to("real")
    rules = Plumbing(home=f"{tmp_path}/home")
    for name in ("home", "real"):
        assert rules.category(f"{tmp_path}/{name}/.cache/x") == "cache"


def test_sources_by_name():
    assert is_source("/p/train.py")
    assert is_source("/p/Makefile")
    assert not is_source("/p/train.csv")


def test_every_rule_says_why():
    assert all(rule.why and rule.category for rule in RULES)


def test_a_cache_that_was_moved_is_what_it_would_be_in_the_home_folder():
    moved = find_moved_caches({"HF_HOME": "/scratch/ann/hf", "TORCH_HOME": "/scratch/ann/hf/torch", "HF_TOKEN_PATH":
                               "/scratch/ann/token", "XDG_CACHE_HOME": "/w/cache", "XDG_CONFIG_HOME": "/scratch/all",
                               "MPLCONFIGDIR": "relative", "UV_CACHE_DIR": "/w/.uv", "PIP_CACHE_DIR": "/",
                               "TRITON_CACHE_DIR": "/w", "KERAS_HOME": "/w"}, "/w")
    for name in ("MPLCONFIGDIR", "UV_CACHE_DIR", "TRITON_CACHE_DIR", "CUDA_CACHE_PATH", "XDG_CACHE_HOME"):
        for shared in ("/", "/tmp", "/var/tmp", "/var", "/dev/shm", "/scratch", "/w", HOME, "/home", "/scratch/t"):
            assert find_moved_caches({name: shared}, "/w", [HOME, "/scratch/t"]) == {}
    assert find_moved_caches({"HF_HOME": "/tmp"}, "/w") == {
        f"/tmp/{part}": f".cache/huggingface/{part}" for part in ("stored_tokens", "token", "hub")}
    for value in ("cache/hf", "./cache/hf/", "$IN/hf", "${IN}/hf"):
        assert find_moved_caches({"HF_HUB_CACHE": value, "IN": "cache"}, "/w", (), "/w/x") == {
            "/w/x/cache/hf": ".cache/huggingface/hub"}
    assert find_moved_caches({"MPLCONFIGDIR": "results", "MODELSCOPE_CACHE": "/w/models", "HF_HOME": "out"}, "/w", (),
                             "/w") == {f"/w/out/{part}": f".cache/huggingface/{part}"
                                       for part in ("stored_tokens", "token", "hub")}
    keys = find_moved_caches({"GOOGLE_APPLICATION_CREDENTIALS": "/w/key.json"}, "/w")
    assert Plumbing(home=HOME, base="/w", moved=keys).category("/w/key.json") == "settings"
    assert find_moved_caches({"XDG_CACHE_HOME": "/scratch/.cache"}, "/w") == {"/scratch/.cache": ".cache"}
    rules = Plumbing(home=HOME, base="/w", moved=moved)
    for path, category in (
            ("/scratch/ann/hf/hub/models--a/blobs/1", ""), ("/scratch/ann/hf/hub/models--a/refs/main", "cache"),
            ("/scratch/ann/hf/token", "cache"), ("/scratch/ann/token", "cache"), ("/scratch/ann/hfx/token", ""),
            ("/scratch/ann/hf/train.json", ""), ("/scratch/all/x", ""), ("/w/datasets/x.json", ""),
            ("/scratch/ann/hf/torch/hub/checkpoints/m.pth", ""), ("/scratch/ann/hf/torch/hub/trusted_list", "cache"),
            ("/scratch/ann/hf/xet/logs/xet_1.log", "cache"), ("/scratch/ann/hf/lerobot/a/b/videos/1.mp4", ""),
            ("/w/.dvc/config.local", "settings"), ("/w/.uv/wheels/a", "cache"),
            ("/w/cache/result.json", ""), ("/w/out", "")):
        assert rules.category(path) == category, path
