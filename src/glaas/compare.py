"""What differs between two jobs: the command, the code, the environment, the files."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from glaas.words import command_text, duration_text
from roar.wire import FileUse, Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that two jobs have each in their own way; None where one has none of it."""

    name: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two jobs side by side.

    Attributes:
        facts: command, code, machine, outcome.
        packages: by name, with their versions.
        inputs, outputs: by path, with their digests.
        same_inputs, same_outputs: how many files are the same in both.
    """

    facts: tuple[Difference, ...]
    packages: tuple[Difference, ...]
    inputs: tuple[Difference, ...]
    outputs: tuple[Difference, ...]
    same_inputs: int
    same_outputs: int


def compare(a: Job, b: Job) -> Comparison:
    """What differs between `a` and `b`."""
    inputs, outputs = (_digests(a.inputs), _digests(b.inputs)), (_digests(a.outputs), _digests(b.outputs))
    return Comparison(
        facts=_differences(dict(_facts(a)), dict(_facts(b))), packages=_differences(_packages(a), _packages(b)),
        inputs=_differences(*inputs), outputs=_differences(*outputs),
        same_inputs=_same(*inputs), same_outputs=_same(*outputs))


def _differences(a: Mapping[str, str | None], b: Mapping[str, str | None]) -> tuple[Difference, ...]:
    names = dict.fromkeys([*a, *b])
    return tuple(Difference(name=name, a=a.get(name), b=b.get(name)) for name in names
                 if name not in a or name not in b or a[name] != b[name])


def _same(a: Mapping[str, str | None], b: Mapping[str, str | None]) -> int:
    return sum(1 for path, digest in a.items() if digest is not None and b.get(path) == digest)


def _digests(uses: Iterable[FileUse]) -> dict[str, str | None]:
    return {use.path: use.digest for use in uses}


def _packages(job: Job) -> dict[str, str | None]:
    return {package.name: package.version for package in (job.python.packages if job.python else ())}


def _facts(job: Job) -> Iterator[tuple[str, str | None]]:
    yield "Command", command_text(job.command)
    yield "Folder", job.cwd
    yield "Ended", str(job.state) if job.exit_code is None else f"exit code {job.exit_code}"
    yield "Took", duration_text(job.duration_s)
    if job.git is not None:
        yield "Commit", job.git.commit
        yield "Branch", job.git.branch
        yield "Uncommitted changes", (job.git.patch or "yes") if job.git.dirty else "none"
    if job.host is not None:
        yield "System", f"{job.host.os}, {job.host.machine}"
        yield "Processor", f"{job.host.cpu or 'unknown'}, {job.host.cpus} CPUs"
        yield "GPUs", ", ".join(job.host.gpus) or None
    if job.python is not None:
        yield "Python", job.python.version
    yield "Observed", ", ".join([job.tracer.mode, *job.tracer.gaps])
    for key, value in sorted(job.labels.items()):
        yield f"Label {key}", value
