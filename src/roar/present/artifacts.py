"""Artifacts as text."""

from collections.abc import Sequence
from functools import partial

from roar.present.cut import Cut, section
from roar.present.jobs import SHORT
from roar.present.text import count_text, printable, table
from roar.query.artifacts import Artifact, ArtifactUse
from roar.query.folders import Folder
from roar.query.graph import GraphArtifact
from roar.wire import DatasetMember, size_text


def render_artifact(artifact: Artifact, *, session: str | None, shown: Cut) -> str:
    """An artifact: names, who made it, who used it, and the members of a dataset.

    Args:
        artifact: as loaded.
        session: uid of the current session: the steps of another are not called @N, as that would name another job.
        shown: how lists are cut.
    """
    members = f", {count_text(artifact.files, 'file')}" if artifact.files is not None else ""
    lines = [f"{artifact.kind} {artifact.digest}  {size_text(artifact.size)}{members}"]
    lines += section("names", artifact.names, lambda names: list(map(printable, names)), shown)
    use_lines = partial(_use_lines, session=session, within=artifact.files is None)
    lines += section("made by", artifact.produced_by, use_lines, shown) or ["  made by: nothing that is recorded"]
    lines += section("used by", artifact.used_by, use_lines, shown)
    lines += section("part of", artifact.datasets,
                      lambda digests: [f"dataset {digest[:SHORT]}" for digest in digests], shown)
    lines += section("labels", tuple(artifact.labels.items()), _label_lines, Cut(None, ""))
    lines += section("members", artifact.members, _member_lines, shown)
    return "\n".join(lines) + "\n"


def render_folder(folder: Folder, *, session: str | None, shown: Cut) -> str:
    """A folder: who made what is recorded in it, who used that, and what it is. Arguments as of `render_artifact`."""
    job_lines = partial(_job_lines, session=session)
    by_job = _by_job if shown.most is not None else _one_by_one
    made, used = by_job(folder.produced_by), by_job(folder.used_by)
    lines = [f"folder {printable(folder.path)}  {size_text(folder.size)}, {count_text(folder.files, 'recorded file')}"]
    lines += section("made by", made, job_lines, shown) or ["  made by: nothing that is recorded"]
    lines += section("used by", used, job_lines, shown)
    if any(len(uses) > 1 for uses in (*made[:shown.most], *used[:shown.most])):
        lines.append(f"    of what a job made or used the first is named; all: {shown.command} --all")
    lines += section("recorded in it", folder.members, _member_lines, shown)
    lines += section("no longer there", folder.gone, lambda names: list(map(printable, names)), shown)
    lines += section("no longer as recorded", folder.changed, lambda names: list(map(printable, names)), shown)
    lines += ["  … it has more files than were taken: name one below it"] if folder.truncated else []
    return "\n".join(lines) + "\n"


def _label_lines(labels: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{printable(key)}={printable(value)}" for key, value in labels]


def _member_lines(members: Sequence[DatasetMember | GraphArtifact]) -> list[str]:
    return table([(member.digest[:SHORT], size_text(member.size), printable(member.path)) for member in members],
                 right=(1,))


def _use_lines(uses: Sequence[ArtifactUse], session: str | None, *, within: bool) -> list[str]:
    return table([(f"@{use.step}" if use.session == session else "", use.job[:8], _use_text(use, within=within))
                  for use in uses])


def _by_job(uses: Sequence[ArtifactUse]) -> list[list[ArtifactUse]]:
    found: dict[str, list[ArtifactUse]] = {}
    for use in uses:
        found.setdefault(use.job, []).append(use)
    return list(found.values())


def _one_by_one(uses: Sequence[ArtifactUse]) -> list[list[ArtifactUse]]:
    return [[use] for use in uses]


def _job_lines(jobs: Sequence[Sequence[ArtifactUse]], session: str | None) -> list[str]:
    """One line for each job, with the first of its uses."""
    more = [f" and {count_text(len(uses) - 1, 'other')}" if len(uses) > 1 else "" for uses in jobs]
    lines = _use_lines([uses[0] for uses in jobs], session, within=False)
    return [line + rest for line, rest in zip(lines, more, strict=True)]


def _use_text(use: ArtifactUse, *, within: bool) -> str:
    """Where the job used it, and whether that was all of it and it alone."""
    place = printable(use.path)
    if use.role == "payload":
        return f"as {place} (in a tracker's store)"
    if use.used_as is None:
        return f"as {place}"
    return f"as {place} (in dataset {use.used_as[:SHORT]})" if within else f"part of it: {place}"
