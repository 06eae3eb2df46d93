"""Whether two records of one job say the same, but for what is hidden in them.

What looks like a secret is a matter of the client's version, and the number that stands for a secret in a path is one
of a key that may be lost. A job that is registered again then says `--key=[redacted]` where it said something else, or
the other way round, and is the same job nevertheless. All values are JSON as `roar.wire.to_json` makes it.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from glaas.igraph_alone import load_igraph
from roar.wire import REDACTED, without_path_numbers

MOST_PAIRED = 50
_BETWEEN_WORDS = "\0"
_Json = Mapping[str, Any]


def same_job(one: _Json, other: _Json) -> bool:
    """Whether two jobs are equal where neither of them hides anything. Several words may be hidden as one."""
    if one.keys() != other.keys():
        return False
    same: dict[str, Callable[[Any, Any], bool]] = {
        "command": _same_words, "inputs": same_files, "outputs": same_files, "git": _same_code}
    return all(same.get(key, _same)(one[key], other[key]) for key in one)


def _same_code(one: Any, other: Any) -> bool:
    """Facts that a server did not know yet, and so dropped, are no difference."""
    if isinstance(one, dict) and isinstance(other, dict):
        both = {name for name in one.keys() | other.keys() if name not in _ADDED or name in one.keys() & other.keys()}
        one, other = ({name: value for name, value in side.items() if name in both} for side in (one, other))
    return _same(one, other)


_ADDED = frozenset({"worktree", "repositories"})


def same_files(one: Sequence[_Json], other: Sequence[_Json]) -> bool:
    """Whether two lists name the same files, which may come in another order where their paths hide something.

    Where more than MOST_PAIRED files differ in nothing but their paths, those must come in the same order.
    """
    if len(one) != len(other):
        return False
    if all(map(_same, one, other)):
        return True
    groups, others = _paths_by_rest(one), _paths_by_rest(other)
    return groups.keys() == others.keys() and all(_can_be_paired(groups[key], others[key]) for key in groups)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return _same_text(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _same_words(one: list[str], other: list[str]) -> bool:
    return _same(one, other) or _same_text(_BETWEEN_WORDS.join(one), _BETWEEN_WORDS.join(other))


def _same_text(one: str, other: str) -> bool:
    if one == other:
        return True
    one, other = without_path_numbers(one), without_path_numbers(other)
    return _covers(one, other) or _covers(other, one)


def _covers(hiding: str, text: str) -> bool:
    """Whether `text` is `hiding` with something in the place of each `[redacted]`."""
    first, *rest = hiding.split(REDACTED)
    if not rest:
        return hiding == text
    *between, last = rest
    if not text.startswith(first):
        return False
    at = len(first)
    for piece in between:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(text) - len(last) >= at and text.endswith(last)


def _paths_by_rest(files: Sequence[_Json]) -> dict[str, list[str]]:
    """The paths of files that are equal in everything else."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for file in files:
        rest = {key: value for key, value in file.items() if key != "path"}
        found[json.dumps(rest, sort_keys=True)].append(file["path"])
    return found


def _can_be_paired(ones: list[str], others: list[str]) -> bool:
    """Whether each of `ones` can be another one of `others`."""
    if len(ones) != len(others):
        return False
    if all(map(_same_text, ones, others)):
        return True
    if len(ones) > MOST_PAIRED:
        return False
    edges = [(i, len(ones) + j) for (i, one), (j, other) in itertools.product(enumerate(ones), enumerate(others))
             if _same_text(one, other)]
    sides = [0] * len(ones) + [1] * len(others)
    return len(load_igraph().Graph.Bipartite(sides, edges).maximum_bipartite_matching()) == len(ones)
