"""Which variables of the environment a process has otherwise than one above it: by their names alone.

Both are read from `/proc/PID/environ`, the environment as it was when the program was executed (proc(5)). No value
leaves this module.
"""

_MOST_NAMES = 20
_OWN = {b"_", b"SHLVL", b"PWD", b"OLDPWD", b"LINES", b"COLUMNS", b"LD_PRELOAD", b"MAKEFLAGS", b"MFLAGS", b"MAKELEVEL",
        b"MAKEOVERRIDES", b"MAKE_TERMOUT", b"MAKE_TERMERR"}
"""What a shell, make(1) or roar sets for each command, whatever a script says."""
_COERCED = {b"C.UTF-8", b"C.utf8", b"UTF-8"}
"""What Python puts into LC_CTYPE for what it starts, where the locale is C (PEP 538)."""


def find_changed(pid: int, above: int) -> tuple[str, ...]:
    """The names of the variables that a process has and one above it has not, or otherwise, or the other way round.

    Returns:
        In their order, no more than twenty; none where one of the two is gone or another user's.
    """
    try:
        own, other = _read(pid), _read(above)
    except OSError:
        return ()
    changed = {name for name in own.keys() | other.keys() if own.get(name) != other.get(name)} - _OWN
    names = sorted(name for name in changed if not name.startswith(b"ROAR_") and not (
        name == b"LC_CTYPE" and own.get(name) in _COERCED and name not in other))
    return tuple(name.decode(errors="backslashreplace") for name in names[:_MOST_NAMES])


def _read(pid: int) -> dict[bytes, bytes]:
    with open(f"/proc/{pid}/environ", "rb") as file:
        pairs = (variable.partition(b"=") for variable in file.read().split(b"\0"))
    return {name: value for name, is_set, value in pairs if is_set}
