"""The environment as it can be handed on to a program."""

import os
from collections.abc import Mapping


def environment() -> Mapping[str, str]:
    """This process's, but for an entry without a name (`=x`): with that Python starts nothing."""
    return {name: value for name, value in os.environ.items() if name} if "" in os.environ else os.environ
