"""Answers on stdout."""

import json
import sys
from typing import Any

from roar.wire import to_json


def print_json(value: Any) -> None:
    """Print nouns, or containers of them, as JSON."""
    json.dump(to_json(value), sys.stdout, indent=2, ensure_ascii=needs_ascii())
    sys.stdout.write("\n")


def needs_ascii() -> bool:
    """Whether stdout cannot take every letter as it is."""
    return sys.stdout.encoding != "utf-8"
