"""`roar reset`: start a new session."""

from roar.commands.arguments import Parser
from roar.commands.opening import open_record
from roar.present.answer import print_json
from roar.present.text import count_text
from roar.query.references import find_current_session
from roar.query.sessions import load_session
from roar.record.writer import start_session


def parser() -> Parser:
    """The command line of `roar reset`."""
    result = Parser("reset", "Start a new session: steps count from @1 again. Nothing that is recorded is lost.")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Start a session, unless the current one is still empty."""
    arguments = parser().parse_args(argv)
    database = open_record().database
    current = find_current_session(database)
    before = None if current is None else load_session(database, current.row_id)
    uid = before.uid if before is not None and not before.jobs else start_session(database)
    if arguments.json:
        print_json({"session": uid, "previous": None if before is None or before.uid == uid else before.uid})
    elif before is None or before.uid == uid:
        print(f"Session {uid[:8]} has no jobs yet; it goes on.")
    else:
        print(f"Session {uid[:8]} starts. The one before, {before.uid[:8]} with {count_text(before.jobs, 'job')},"
              f" stays: roar show {before.uid[:8]}")
    return 0
