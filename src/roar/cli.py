"""The command `roar`: finds the verb, imports only its module, and turns a RoarError into text.

Nothing heavy is imported here: `roar --help` and `roar --version` answer without argparse or dataclasses.
"""

import io
import os
import sys
from errno import EDQUOT, EFBIG, EIO, ENOSPC

from roar import __version__
from roar.commands import VERBS
from roar.errors import RoarError, UsageError

_REFERENCES = """\
REF is @N (step N of the session; @-1 the last job), a job's uid or the start of it (4 or more), an artifact's digest
or the start of it (6 or more), a path (the artifact now at that path), a tracker run's URL or id, or an object's
URL (the artifact that was last recorded there). Where a path is not known from here, it is one from the workspace's
root, as answers show it.
"""


def main(argv: list[str] | None = None) -> int:
    """Run `roar` with `argv` (without the program's name) and return its exit status."""
    if argv is None:
        if sys.getfilesystemencoding() != "utf-8":
            _begin_again_in_utf8()
        _put_places_of_others_last()
    arguments = sys.argv[1:] if argv is None else argv
    _replace_closed_streams()
    _print_anything()
    try:
        status = _dispatch(arguments)
        sys.stdout.flush()
    except RoarError as error:
        _flush_answer()
        _complain(error)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _forget_stdout()
        return 141
    except Exception as error:
        told = _about_the_record(error) or _about_the_answer(error)
        if told is None:
            raise
        _flush_answer()
        _complain(told)
        return told.exit_status
    return status if status >= 0 else _die_of(-status)


def _die_of(number: int) -> int:
    """End as the command of `roar run` did, for whoever looks at how: a shell stops its script at Ctrl-C only if so.

    Returns the status where this signal does not end this process, such as the first of a container.
    """
    import contextlib  # noqa: PLC0415  only at such an end
    import resource  # noqa: PLC0415
    import signal  # noqa: PLC0415

    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (min(1, most) if most >= 0 else 1, most))  # no core(5) file of ours; a
    with contextlib.suppress(OSError, ValueError):  # program behind core_pattern is not run for a limit of 1, not of 0
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)
    return 128 + number


def _put_places_of_others_last() -> None:
    """Look for modules last in PYTHONPATH, and in the folder that Python was started with: they are the command's.

    A module there may have the name of one of Python's own, or of one of a library that roar needs. Plug-ins are found
    there all the same, and so is what roar itself was installed with.
    """
    given = os.environ.get("PYTHONPATH")
    others = {os.path.abspath(place) for place in given.split(os.pathsep)} if given else set()
    if not sys.flags.safe_path:
        others.add(sys.path[0])
    python, ours = os.path.dirname(os.__file__), os.path.dirname(os.path.dirname(__file__))
    moved = [place for place in sys.path if place in others and place != python]
    kept = [place for place in sys.path if place not in moved]
    behind = 1 + max((at for at, place in enumerate(kept) if place == python or place.endswith("/lib-dynload")),
                     default=-1)
    own = [place for place in moved if place == ours]
    sys.path[:] = [*kept[:behind], *own, *kept[behind:], *(place for place in moved if place != ours)]
    _forget_modules(set(moved))


def _forget_modules(places: set[str]) -> None:
    """Of what Python has loaded at its start, forget what has a name of its own modules and lies elsewhere."""
    files = {name: getattr(sys.modules[name], "__file__", None) or "" for name in
             sys.stdlib_module_names.intersection(sys.modules)}
    wrong = {name for name, file in files.items() if os.path.dirname(file.removesuffix("/__init__.py")) in places}
    for name in [name for name in sys.modules if name.partition(".")[0] in wrong] if wrong else ():
        del sys.modules[name]


_TERMINAL = "roar-terminal"  # an option of ours among the interpreter's; those that it does not know it only keeps


def _begin_again_in_utf8() -> None:
    """In a locale such as de_DE.ISO-8859-1 Python takes file names for Latin-1, and finds none that it knows as UTF-8.

    The mode can only be chosen at the start (PEP 540), and not by a variable, which the command would inherit. Words
    of the command line are passed on byte for byte.
    """
    if sys.executable:
        options = ["-X", "utf8", "-X", f"{_TERMINAL}={sys.stdout.encoding if sys.stdout else 'ascii'}"]
        os.execv(sys.executable, [sys.executable, *options, *sys.orig_argv[1:]])  # noqa: S606  ourselves


def _print_anything() -> None:
    """A terminal that does not speak UTF-8 shows other letters as escapes; nothing fails for it."""
    terminal = sys._xoptions.get(_TERMINAL)  # noqa: SLF001  documented in sys under this name
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and (terminal or stream.encoding != "utf-8"):
            stream.reconfigure(encoding=str(terminal) if terminal else None, errors="backslashreplace")


def _dispatch(arguments: list[str]) -> int:
    verb = arguments[0] if arguments else "--help"
    if verb in {"--help", "-h", "help"}:
        return main([arguments[1], "--help"]) if len(arguments) > 1 else _print_help()
    if verb in {"--version", "-V"}:
        print(f"roar {__version__}")
        return 0
    if not any(verb in group for group in VERBS.values()):
        raise _unknown_verb(verb)
    from importlib import import_module  # noqa: PLC0415  a verb's module is imported only when it is asked for

    try:
        if verb == "run":
            _let_interrupts_end_us()
        module = import_module(f"roar.commands.{verb}")
    except Exception as error:
        if verb != "run":
            raise
        from roar.commands.unrecorded import run_unrecorded  # noqa: PLC0415  where roar does not work here

        return run_unrecorded(arguments[1:], error)
    status: int = module.main(arguments[1:])
    return status


def _let_interrupts_end_us() -> None:
    """Until the command is there Ctrl-C has nothing to undo, and is what it would be for the command."""
    import signal  # noqa: PLC0415  `roar run` needs it anyway

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _print_help() -> int:
    print("usage: roar VERB …\n\nrecords what a command really read and wrote, as a lineage graph.\n")
    for title, verbs in VERBS.items():
        print(f"{title}:")
        for verb, summary in verbs.items():
            print(f"  {verb:<11}{summary}")
        print()
    print(_REFERENCES)
    print("`roar VERB --help` explains one verb.")
    return 0


def _unknown_verb(verb: str) -> UsageError:
    if verb.startswith("-"):
        return UsageError(f"roar has no option {verb!r}.", hint="roar --help")
    from difflib import get_close_matches  # noqa: PLC0415  only a mistyped verb needs it

    known = [name for group in VERBS.values() for name in group]
    close = get_close_matches(verb, known, n=3, cutoff=0.5)
    close.sort(key=lambda name: sorted(name) != sorted(verb))  # letters in another order, then by likeness
    meant = f" Did you mean {' or '.join(close)}?" if close else ""
    return UsageError(f"roar has no verb {verb!r}.{meant}", hint=f"roar {close[0]} --help" if close else "roar --help")


def _about_the_record(error: Exception) -> RoarError | None:
    """An error of SQLite about the record's file, which any question to it may meet; None for every other error."""
    sqlite3 = sys.modules.get("sqlite3")
    if sqlite3 is None or not isinstance(error, sqlite3.Error):
        return None
    from roar.record.database import is_about_the_file, translated  # noqa: PLC0415  only for an error
    from roar.workspace import find_workspace  # noqa: PLC0415

    return translated(error, find_workspace().database) if is_about_the_file(error) else None


def _about_the_answer(error: Exception) -> RoarError | None:
    """A full disk behind `roar log > FILE`; None for every other error. Only a stream's error names no file."""
    if not isinstance(error, OSError) or error.filename or error.errno not in {ENOSPC, EDQUOT, EFBIG, EIO}:
        return None
    _forget_stdout()
    return RoarError(f"The answer could not be written: {error.strerror}.")


def _complain(error: RoarError) -> None:
    """One sentence, its details and a hint, on stderr."""
    from roar.present.text import told  # noqa: PLC0415  only for an error

    lines = [f"roar: {error.message}", *(f"  {detail}" for detail in error.details)]
    if error.hint:
        lines.append(f"  try: {error.hint}")
    sys.stderr.write("".join(f"{told(line)}\n" for line in lines))


def _replace_closed_streams() -> None:
    """Where stdout or stderr was closed by the caller, speak to nobody. It stays closed for the command."""
    if sys.stdout is None:
        sys.stdout = io.StringIO()
    if sys.stderr is None:
        sys.stderr = io.StringIO()


def _flush_answer() -> None:
    """What was printed before an error comes before its message."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()


def _forget_stdout() -> None:
    """Give the interpreter a stdout that it can flush at exit: the reader of the real one has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
