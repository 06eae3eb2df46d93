"""igraph, without what it would load to draw with."""

import functools
import sys
from typing import Any


@functools.cache
def load_igraph() -> Any:
    """The module `igraph`, loaded when it is first needed.

    It loads matplotlib where there is one, as in most places where models are trained: more than all else that a
    server or `roar export` starts with, and never used here.
    """
    hidden: dict[str, Any] = {} if "matplotlib" in sys.modules else {"matplotlib": None}  # None: is not to be found
    sys.modules.update(hidden)
    try:
        import igraph  # type: ignore[import-untyped]  # noqa: PLC0415  as above
    finally:
        for name in hidden:
            del sys.modules[name]
    return igraph
