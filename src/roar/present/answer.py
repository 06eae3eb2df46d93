"""Answers on stdout."""

import json
import sys
from typing import Any

from roar.wire import to_json


def print_json(value: Any) -> None:
    """Print nouns, or containers of them, as JSON."""
    json.dump(to_json(value), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
