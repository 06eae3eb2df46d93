"""What is not an artifact: libraries, interpreter, caches, and everything else that a program touches to run.

`RULES` is the whole of it, in order; the first rule that matches names the category. Within the workspace no rule
counts that the workspace's own folder falls under (a project may lie in /var/lib or ~/.local), nor the one for shared
libraries: what stands there was built there. A cache that an environment variable has moved counts as if it lay in the
home folder (`roar.analyze.caches`). Settings add to both sides:
`[filters] remove` leaves more paths out, `[filters] add` keeps paths that a rule would leave out.
"""

import fnmatch
import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple

from roar.analyze.fold import Uses
from roar.observe.trace import Process


class Rule(NamedTuple):
    """A regular expression over the absolute path; `HOME` stands for the user's home folder."""

    category: str
    pattern: str
    why: str


_PACKAGES = "installed packages: recorded by name and version, modules without one by their content"

RULES: tuple[Rule, ...] = (
    Rule("data", r"HOME/\.cache/huggingface/(?:hub|datasets|assets|lerobot|transformers|diffusers)/"
         r"(?!.*(?:\.lock$|/\.locks/|/\.no_exist/|/refs/|/CACHEDIR\.TAG$|/version\.txt$))",
         "models and data sets in the Hugging Face cache"),
    Rule("data", r"HOME/\.cache/huggingface/modules/(?:.*/)?(?!__init__)[^/]*\.py$",
         "code that came with models from the Hugging Face hub"),
    Rule("data", r"HOME/\.cache/torch/(?:hub/checkpoints|sentence_transformers|pyannote|NeMo)/",
         "models in the torch hub cache"),
    Rule("data", r"HOME/\.cache/torch/hub/[^/]+/(?!.*(?:\.py[co]$|/\.git/))",
         "repositories in the torch hub cache"),
    Rule("data", r"HOME/\.keras/(?:datasets|models)/", "models and data sets in the Keras cache"),
    Rule("data", r"HOME/scikit_learn_data/", "data sets that scikit-learn downloaded"),
    Rule("data", r".*/nltk_data/", "data sets that NLTK downloaded"),
    Rule("data", r"HOME/\.cache/(?:seaborn|openml|scipy-data|scikit-image|pooch)/",
         "data sets that seaborn, OpenML, SciPy and others downloaded"),
    Rule("data", r"HOME/\.local/share/(?:tts|label-studio)/", "models and data of Coqui TTS and Label Studio"),
    Rule("data", r".*/\.git/annex/objects/", "files that git-annex and DataLad keep"),
    Rule("data", r"HOME/\.cache/kagglehub/(?:datasets|models|competitions|notebooks)/(?!.*\.complete$)",
         "models and data sets that kagglehub downloaded"),
    Rule("data", r"HOME/\.cache/modelscope/(?:hub|models|datasets)/(?!(?:.*/)?\.(?:lock/|_+temp/|m(?:sc|dl|v)$))",
         "models and data sets in the ModelScope cache"),
    Rule("data", r"HOME/\.cache/.*\.(?:pt|pth|ckpt|safetensors|gguf|onnx|parquet|arrow|feather|npy|npz|h5|hdf5|csv"
         r"|tsv)$", "models and data in other caches"),
    Rule("system", r"/(?:proc|sys|dev(?!/shm/)|etc|run(?!/media/)|boot|usr(?!/src/(?!linux-))|lib(?:32|64|x32)?"
         r"|bin|sbin|snap)(?:/|$)",
         "the operating system"),
    Rule("system", r"/var/(?:lib|cache|run|log|spool)/|/(?:nix|gnu)/store/", "the operating system"),
    Rule("system", r"/dev/shm/(?:sem\.|(?:psm|wnsm|torch|sm|vader|shmem|nccl|cuda|ucx|mono|pulse-shm|lttng-ust|mp"  # noqa: S108
         r"|pymp|memmapping)[_.-][^/]*$|(?:pymp-|joblib_memmapping_folder)|__KMP|\.org\.chromium|PostgreSQL\.|jemalloc)",
         "memory that processes share (shm_open(3), sem_open(3))"),
    Rule("system", r"/memfd:", "memory without a file (memfd_create(2))"),
    Rule("bytecode", r".*\.py[co](?:\.\d+)?$", "compiled Python"),
    Rule("roar", r".*/\.roar(?:/|$)|.*/roar/_native/", "roar's own record and programs"),
    Rule("packages", r".*/(?:site-packages|dist-packages|conda-meta)(?:/|$)", _PACKAGES),
    Rule("unversioned", r".*/(?:node_modules|R/library|R/[^/]*-(?:gnu|musl)-library|renv/library"
         r"|\.julia/(?:packages|artifacts|registries|clones"
         r"|scratchspaces|logs|environments)|go/pkg/(?:mod|sumdb)|\.gem/ruby|vendor/bundle/ruby|perl5/lib)(?:/|$)",
         "installed packages of other languages and programs of no package: no version is recorded"),
    Rule("packages", r".*\.(?:dist-info|egg-info)(?:/|$)", _PACKAGES),
    Rule("interpreter", r".*/lib(?:64)?/python\d\.\d+t?(?:/|$)", "the Python standard library"),
    Rule("interpreter", r".*/(?:pyvenv\.cfg|python\d?\d\d?\.zip|[^/]*\._pth)$", "the interpreter's own set-up"),
    Rule("interpreter", r".*/\.(?:pyenv|rbenv|nvm|asdf|volta|sdkman|rustup|cargo|juliaup|julia/compiled)/",
         "interpreters and the programs that choose between them"),
    Rule("interpreter", r".*/(?:(?:anaconda|miniconda|miniforge|mambaforge|micromamba)\d?|opt/conda)/(?:envs/[^/]+/)?"
         r"(?:bin|lib|etc|share|include|ssl)/", "an interpreter and its libraries"),
    Rule("libraries", r".*\.so(?:\.\d+)*$|.*/ld\.so\.[^/]*$", "shared libraries"),
    Rule("git", r".*/\.(?:git|hg|svn|jj)(?:/|$)", "the repository's own files: recorded as the commit"),
    Rule("git", r".*/\.git(?:ignore|attributes|modules|config)$|HOME/\.gitconfig$", "the repository's own files"),
    Rule("settings", r"HOME/(?:\.config|\.local|\.nv|\.triton|\.ipython|\.jupyter|\.conda|\.npm|\.matplotlib|\.aws"
         r"|\.kube|\.ssh|\.gnupg|\.docker|\.azure|\.pki|\.dbus|\.java|\.m2|\.gradle|\.theano|\.terminfo)(?:/|$)",
         "the user's settings"),
    Rule("settings", r"HOME/\.(?:netrc|bash\w*|profile|z\w+|inputrc|condarc|pip|pypirc|curlrc|wgetrc|vimrc|hgrc"
         r"|Rprofile|Renviron|Xauthority|ICEauthority|python_history|keras/keras\.json|lesshst|viminfo)$",
         "the user's settings"),
    Rule("settings", r".*/(?:\.dvc/config\.local|\.(?:netrc|git-credentials|pgpass|vault-token))$"
         r"|HOME/\.mlflow/credentials$", "passwords and tokens"),
    Rule("settings", r"HOME/\.(?:ray|snowflake|databricks|modal|s3cmd)(?:/|$)|HOME/\.prefect/(?!storage/)",
         "the user's settings"),
    Rule("settings", r"HOME/(?:\.(?:kaggle/kaggle\.json|huggingface/(?:token|stored_tokens)|git-credentials"
         r"|pgpass|pg_service\.conf|psql\w+|my\.cnf|mylogin\.cnf|mysql_history|sqliterc|sqlite_history|boto|s3cfg"
         r"|databrickscfg|npmrc|yarnrc(?:\.yml)?|modal\.toml|comet\.config|duckdbrc|odbc\.ini|vault-token|Rhistory|node_repl_history)|clearml\.conf)$",
         "the user's settings"),
    Rule("interpreter", r".*/\.snakemake/(?:conda/[^/]+|pip-deployments)/", "environments that Snakemake made"),
    Rule("workflow", r".*/\.snakemake/(?!(?:storage|shadow|singularity|conda)/)|.*/\.snakemake_timestamp$",
         "what Snakemake keeps of its own runs"),
    Rule("workflow", r".*/\.nextflow(?:/|\.log(?:\.\d+)?$|\.pid$)"
         r"|.*/[0-9a-f]{2}/[0-9a-f]{30}/\.(?:command\.(?:sh|run|begin|log|err|trace)|exitcode)$",
         "what Nextflow keeps of its own runs"),
    Rule("workflow", r".*/dask-(?:worker|scratch)-space/", "what Dask keeps of its own runs"),
    Rule("cache", r"HOME/\.cache(?:/|$)", "caches"),
    Rule("cache", r".*/(?:\.(?:pytest|mypy|ruff)_cache|\.ipynb_checkpoints|\.hypothesis|\.tox|\.nox|\.eggs"
         r"|\.ccls-cache)(?:/|$)", "caches"),
    Rule("cache", r".*/(?:torchinductor_[^/]*|torch_extensions|\.triton|triton_cache|nv_cache|ComputeCache|numba_cache"
         r"|\.matplotlib|joblib_memmapping_folder[^/]*)(?:/|$)|.*\.nb[ic]$",
         "compiled kernels and fonts"),
    Rule("cache", r".*/matplotlib-[a-z0-9_]{8}/(?:fontlist-v[\d.]+\.json|.*\.matplotlib-lock|tex\.cache(?:/|$))",
         "compiled kernels and fonts"),
    Rule("cache", r".*/(?:CACHEDIR\.TAG|\.DS_Store|\.nfs[0-9a-f]{16,})$", "caches"),
    Rule("cache", r".*/lock\.mdb$|.*[/._-](?:l?mdb|db)-lock$", "who has an LMDB data set open"),
    Rule("cache", r".*\.(?:db|db3|sqlite|sqlite3|s3db|gpkg|mbtiles)-shm$", "the index of SQLite's log, made anew"),
)

WITHOUT_RULE = {"filters": "paths that the setting filters.remove names",
                "code": "source code that the repository holds: recorded with the commit",
                "links": "symlinks that the job made", "temporary": "files that were gone when the job ended"}

KEPT = ""
CACHE = "cache"


class Plumbing:
    """The rules, ready to be asked about many paths.

    Args:
        home: the user's home folder.
        roots: folders that are plumbing as a whole (virtual environments seen in this job).
        remove: glob patterns of paths to leave out besides (absolute, or relative to `base`).
        add: glob patterns of paths to keep whatever the rules say.
        base: the workspace root, which relative patterns start from.
        moved: caches that lie elsewhere, and where they would below `home`; those inside others first.
    """

    def __init__(self, *, home: str, roots: Iterable[str] = (), remove: Sequence[str] = (), add: Sequence[str] = (),
                 base: str = "/", moved: Mapping[str, str] = MappingProxyType({})) -> None:
        self._home = home
        self._moved = moved
        self._moved_roots = tuple(moved)
        self._categories = [KEPT if rule.category == "data" else rule.category for rule in RULES]
        self._base = os.path.join(base, "")
        self._roots = tuple(chain.from_iterable(_parts_of_environment(os.path.join(root, ""), self._base)
                                                for root in roots))
        self._add = _compile(add, base)
        self._remove = _compile(remove, base)

    def category(self, path: str) -> str:
        """The category under which `path` is left out, or `""` when it may be an artifact."""
        if self.is_added(path):
            return KEPT
        if self._remove is not None and self._remove.match(path):
            return "filters"
        meant = self._meant(path) if self._moved_roots and path.startswith(self._moved_roots) else path
        outside, inside = _rules(self._home, self._base)
        match = (inside if meant.startswith(self._base) else outside).match(meant)
        if match is None or match.lastgroup is None:
            return "interpreter" if self._roots and path.startswith(self._roots) else KEPT
        return self._categories[int(match.lastgroup[1:])]

    def _meant(self, path: str) -> str:
        """Where a file of a cache would lie if that were below the home folder."""
        return next((f"{self._home}/{place}{path[len(root):]}" for root, place in self._moved.items()
                     if path == root or path.startswith(f"{root}/")), path)

    def is_added(self, path: str) -> bool:
        """Whether the settings keep `path`, whatever else would be said of it."""
        return self._add is not None and self._add.match(path) is not None


def _parts_of_environment(root: str, base: str) -> list[str]:
    """What of an environment is plumbing: what it is made of, as a project may lie in it.

    Of a hidden virtual one that is more, but not what somebody puts there to edit it: pip(1) clones repositories into
    `src/`. Of a hidden one of conda it is all.
    """
    name = root[len(base):] if root.startswith(base) else os.path.basename(root.rstrip("/"))
    hidden = "/." in f"/{name}" and not base.startswith(root)
    if os.path.isdir(f"{root}conda-meta"):
        return [root] if hidden else [root + part for part in _CONDA]
    return [root + part for part in (_HIDDEN if hidden else _VIRTUAL)]


_VIRTUAL = ("bin/", "lib/python", "lib64", "include/python", "share/man/", "share/jupyter/", "share/doc/",
            "etc/jupyter/", "pyvenv.cfg", ".gitignore", ".lock")
_HIDDEN = (*_VIRTUAL, "lib/pypy", "include/", "share/", "man/", "pip-selfcheck.json")
_CONDA = ("bin/", "lib/", "lib64/", "include/", "share/", "etc/", "man/", "pyvenv.cfg", "conda-meta/", "ssl/",
                "libexec/", "sbin/", "compiler_compat/", "mkspecs/", ".gitignore", ".lock",
                "x86_64-conda-linux-gnu/", "aarch64-conda-linux-gnu/")


def _patterns(home: str) -> list[str]:
    names = "|".join(dict.fromkeys(re.escape(name.rstrip("/")) for name in (home, os.path.realpath(home))))
    return [f"(?P<g{number}>{rule.pattern.replace('HOME', f'(?:{names})')})" for number, rule in enumerate(RULES)]


@cache
def _rules(home: str, base: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The rules that count outside of the workspace, and within it: mostly the same, as compiling them takes long."""
    patterns, elsewhere = _patterns(home), f"(?!{re.escape(base)})" if base != "/" else ""
    outside = re.compile("|".join(f"{elsewhere}{pattern}" if rule.category == "libraries" else pattern
                                  for pattern, rule in zip(patterns, RULES, strict=True)), re.DOTALL)
    if base == "/" or outside.match(f"{base}file") is None:
        return outside, outside
    return outside, re.compile("|".join(
        pattern for pattern, rule in zip(patterns, RULES, strict=True)
        if rule.category != "libraries" and not re.match(pattern, f"{base}file", re.DOTALL)), re.DOTALL)


def prepare(home: str, base: str) -> None:
    """Compile the rules ahead of their use."""
    _rules(home, os.path.join(base, ""))


def _compile(patterns: Sequence[str], base: str) -> re.Pattern[str] | None:
    if not patterns:
        return None
    literal = [glob.escape(pattern) for pattern in patterns if glob.has_magic(pattern)]  # such as `data [1].csv`
    return re.compile("|".join(f"(?:{_translate(pattern, glob.escape(base))})" for pattern in (*patterns, *literal)))


def _translate(pattern: str, base: str) -> str:
    """A pattern as a regular expression: `*` matches `/`, too, and `**/` also no folder.

    What it matches may be a folder; with a slash at its end it must be one.
    """
    path = os.path.join(base, os.path.expanduser(pattern))
    pieces = re.split(r"(?<=/)(?:\*\*/)+", os.path.normpath(path))
    whole = "(?:.*/)?".join(fnmatch.translate(piece)[:-2] for piece in pieces)  # [:-2]: but for the text's end
    return f"(?s:{whole}{'/' if path.endswith('/') else '(?:/|$)'})"


def environment_roots(uses: Uses, processes: Iterable[Process]) -> set[str]:
    """The environments that programs came from.

    Virtual ones are folders whose `pyvenv.cfg` was opened (PEP 405), or lies beside the `bin` of a program that was
    run; those of conda and pixi have `conda-meta` there.
    """
    opened = {os.path.dirname(path) for path in uses.opened if path.endswith("/pyvenv.cfg")}
    opened |= {folder for folder, files in uses.closed.items() if files.has(b"pyvenv.cfg")}
    folders = {folder for program in {process.executable for process in processes} for folder in _prefixes(program)}
    return opened | {folder for folder in folders if os.path.isdir(os.path.join(folder, "conda-meta"))
                     or os.path.isfile(os.path.join(folder, "pyvenv.cfg"))}


def _prefixes(program: str) -> Iterator[str]:
    """Where a program's environment may lie, by its name and by that of the file behind it."""
    for path in {program, os.path.realpath(program)} if program else ():
        folder = os.path.dirname(path)
        if os.path.basename(folder) == "bin":
            yield os.path.dirname(folder)
