"""Run all benchmarks, or those named: every figure is a ratio of commands timed in turn within one run.

usage: run.py [NAME...]      a NAME is a file of this folder without `.py`; --list prints them
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Start each benchmark in an interpreter of its own; return 1 when one of them failed."""
    names = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in {"run", "timing"})
    if "--list" in sys.argv[1:]:
        print(*names, sep="\n")
        return 0
    chosen = sys.argv[1:] or names
    unknown = [name for name in chosen if name not in names]
    if unknown:
        print(f"there is no benchmark {unknown[0]!r}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    failed = 0
    for name in chosen:
        print(f"\n## {name}\n", flush=True)
        failed += subprocess.run([sys.executable, HERE / f"{name}.py"], check=False).returncode != 0
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
