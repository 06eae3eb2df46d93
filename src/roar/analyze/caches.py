"""Where caches lie that environment variables have moved out of the home folder, as on clusters with a quota there."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # this is loaded before the command starts
    from roar.analyze.surroundings import Surroundings
    from roar.observe.trace import Process

_PLACES = {
    "HF_HOME": ".cache/huggingface", "HF_HUB_CACHE": ".cache/huggingface/hub",
    "HUGGINGFACE_HUB_CACHE": ".cache/huggingface/hub", "TRANSFORMERS_CACHE": ".cache/huggingface/hub",
    "HF_DATASETS_CACHE": ".cache/huggingface/datasets", "HF_ASSETS_CACHE": ".cache/huggingface/assets",
    "HF_XET_CACHE": ".cache/huggingface/xet", "HF_MODULES_CACHE": ".cache/huggingface/modules",
    "TORCH_HOME": ".cache/torch", "TORCH_EXTENSIONS_DIR": ".cache/torch_extensions",
    "TORCHINDUCTOR_CACHE_DIR": ".cache/torchinductor", "TRITON_CACHE_DIR": ".triton/cache",
    "TRITON_HOME": ".triton", "CUDA_CACHE_PATH": ".nv/ComputeCache", "NUMBA_CACHE_DIR": ".cache/numba",
    "KERAS_HOME": ".keras", "KAGGLEHUB_CACHE": ".cache/kagglehub", "MODELSCOPE_CACHE": ".cache/modelscope",
    "MPLCONFIGDIR": ".config/matplotlib", "PIP_CACHE_DIR": ".cache/pip", "UV_CACHE_DIR": ".cache/uv",
    "VLLM_CACHE_ROOT": ".cache/vllm", "JAX_COMPILATION_CACHE_DIR": ".cache/jax", "CLOUDSDK_CONFIG": ".config/gcloud",
    "KAGGLE_CONFIG_DIR": ".kaggle", "XDG_CACHE_HOME": ".cache", "XDG_CONFIG_HOME": ".config"}
"""By variable where such a cache lies in the home folder, as the documentation of each program says."""
_FILES = {
    "HF_TOKEN_PATH": ".cache/huggingface/token", "GOOGLE_APPLICATION_CREDENTIALS": ".config/gcloud/credentials.json",
    "AWS_SHARED_CREDENTIALS_FILE": ".aws/credentials", "AWS_CONFIG_FILE": ".aws/config", "NETRC": ".netrc",
    "CLEARML_CONFIG_FILE": "clearml.conf", "KUBECONFIG": ".kube/config"}
"""By variable single files with tokens and keys, and where they lie else."""
COMPILED = "PYTHONPYCACHEPREFIX"
"""By which Python keeps what it compiled in a tree of its own (roar.analyze.bytecode)."""
VARIABLES: tuple[str, ...] = (*_PLACES, *_FILES, COMPILED)
"""What to look at of the environments that processes are started with."""
_PARTS = {
    "HF_HOME": ("hub", "datasets", "assets", "xet", "modules", "lerobot", "transformers", "diffusers", "accelerate",
                "evaluate", "metrics", "token", "stored_tokens"),
    "TORCH_HOME": ("hub", "kernels", "inductor", "sentence_transformers", "pyannote", "NeMo"),
    "KERAS_HOME": ("datasets", "models", "keras.json")}
"""What lies in those of which the rest may be anything: they are often set to a folder for all large data."""
_TELLING = frozenset({"hub", "token", "stored_tokens"})
"""Of those parts what has such a name for no other reason, where others share the folder."""
_GENERAL = frozenset({"XDG_CACHE_HOME", "XDG_CONFIG_HOME"})
"""What any program may write to: in a workspace that is rather a folder of results, and elsewhere its name has to
say what it is."""
_SHARED = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  compared only
_NAME = re.compile(r"cache|conf|xdg|^\.", re.IGNORECASE)
_NAME_OF_A_PROGRAM = re.compile(r"hf|hugging|torch|hub|inductor|triton|cuda|numba|keras|kaggle|scope|mpl|matplotlib"
                                r"|pip|uv|vllm|jax|cloud|sdk", re.IGNORECASE)
"""Within the workspace a folder of another name (`HF_HOME=results`) is taken for one of results, too."""


def find_moved_caches(environment: Mapping[str, str], root: str, shared: Iterable[str] = (), cwd: str = "/"
                      ) -> dict[str, str]:
    """By the absolute path of each such folder where it would lie below the home folder, those inside others first.

    Not one that is or holds the workspace or another shared folder, as a whole, nor one at the top of the file
    system: nothing there would be an artifact.

    Args:
        environment: of the command.
        root: the workspace's.
        cwd: the working folder, which relative values start from; they may name other variables of `environment`.
        shared: folders that hold more than a cache, whatever a variable says: the home folder, those for temporary
            files.
    """
    found: dict[str, str] = {}
    around = [os.path.join(folder, "") for one in (root, *shared, *_SHARED) for folder in {one, os.path.realpath(one)}]
    for name, place in {**_PLACES, **_FILES}.items():
        value = environment.get(name, "")
        place_there = os.path.join(cwd, os.path.expanduser(_filled_in(value, environment)))
        for path in (os.path.normpath(place_there), os.path.realpath(place_there)) if value else ():
            inside = path.startswith(os.path.join(root, ""))
            is_shared = (path.count("/") == 1 or any(folder.startswith(os.path.join(path, "")) for folder in around)
                         or (inside and name in _PLACES and not _tells(path)))
            if path == root or (is_shared and name not in _PARTS):
                continue
            if name not in _GENERAL or (not inside and _NAME.search(os.path.basename(path))):
                found |= {os.path.join(path, part): os.path.join(place, part) for part in _PARTS[name]
                          if not is_shared or part in _TELLING} if name in _PARTS else {path: place}
    return _inner_first(found)


def _tells(path: str) -> bool:
    """Whether the name of a folder says that it is a cache or a program's own."""
    name = os.path.basename(path)
    return _NAME.search(name) is not None or _NAME_OF_A_PROGRAM.search(name) is not None


def _filled_in(value: str, environment: Mapping[str, str]) -> str:
    if "$" not in value:
        return value
    from string import Template  # noqa: PLC0415  hardly any value needs it

    return Template(value).safe_substitute(environment)


def caches_of(processes: "Iterable[Process]", around: "Surroundings") -> dict[str, str]:
    """The caches of a job, also those that a script of it has moved (`export HF_HOME=…`), as `find_moved_caches`."""
    moved = {(process.cwd, tuple((name, value) for name in VARIABLES if (value := process.environment.get(name))))
             for process in processes}
    found = dict(around.caches)
    for cwd, environment in sorted(one for one in moved if one[1]):
        there = find_moved_caches(dict(environment), around.root, (around.home, around.tmpdir), cwd)
        found = there | found
    return _inner_first(found)


def _inner_first(caches: Mapping[str, str]) -> dict[str, str]:
    return dict(sorted(caches.items(), key=lambda one: -len(one[0])))
