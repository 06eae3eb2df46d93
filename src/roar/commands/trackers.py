"""`roar trackers`: the experiment trackers, on or off, and where each comes from."""

import os
from collections.abc import Iterable

from roar.analyze.trackers.discovery import KnownTracker, check_switches, known_trackers, unknown_switches
from roar.commands.arguments import Parser
from roar.commands.opening import open_record
from roar.config import Settings, load_settings
from roar.present.answer import print_json
from roar.present.jobs import tracker_run_lines
from roar.present.text import paint, printable, table
from roar.workspace import find_workspace


def parser() -> Parser:
    """The command line of `roar trackers`."""
    result = Parser("trackers", "List the experiment trackers that roar knows: on or off, what says so, and which"
                    " distribution each comes from. `roar trackers refresh` looks for offline runs of earlier jobs"
                    " that were uploaded since, and adds their pages where they are proven.")
    result.add_argument("action", nargs="?", choices=("list", "refresh"), default="list")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """List the trackers, or refresh offline runs."""
    arguments = parser().parse_args(argv)
    if arguments.action == "refresh":
        return _refresh(as_json=arguments.json)
    settings = load_settings(find_workspace())
    rows = [_row(settings, tracker) for tracker in known_trackers()]
    if arguments.json:
        print_json({"trackers": rows, "unknown": unknown_switches(settings)})
    else:
        for line in _lines(rows):
            print(line)
    check_switches(settings)
    return 0


def _row(settings: Settings, tracker: KnownTracker) -> dict[str, object]:
    entry = settings.tracker(tracker.name)
    return {"name": tracker.name, "label": tracker.label, "on": bool(entry.value), "origin": entry.origin,
            "source": tracker.source, "problem": tracker.problem}


def _lines(rows: Iterable[dict[str, object]]) -> list[str]:
    return table([(printable(str(row["name"])), printable(str(row["label"])),
                   paint("on", "green") if row["on"] else paint("off", "yellow"), printable(str(row["origin"])),
                   printable(str(row["source"])) + (f"  {paint(printable(str(row['problem'])), 'red')}"
                                                    if row["problem"] else "")) for row in rows])


def _refresh(*, as_json: bool) -> int:
    """Ask each tracker about its offline runs, and record what is proven now."""
    from roar.analyze.trackers.analysis import refresh  # noqa: PLC0415  only here
    from roar.query.jobs import load_offline_runs  # noqa: PLC0415
    from roar.record.database import transaction  # noqa: PLC0415
    from roar.record.writer import replace_tracker_run  # noqa: PLC0415

    workspace, database = open_record()
    home = os.path.expanduser("~")
    changed = []
    for row_id, run in load_offline_runs(database):
        found = refresh(run, environ=os.environ, home=home, workspace=workspace.root)
        if found is not None:
            with transaction(database):
                replace_tracker_run(database, row_id, found)
            changed.append(found)
    if as_json:
        print_json({"changed": changed})
        return 0
    for run in changed:
        print("\n".join(tracker_run_lines(run)))
    if not changed:
        print("No offline run is proven to have been uploaded since.")
    return 0
