"""What differs between two jobs: parameters, files, code, environment. The likely cause comes first."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from glaas.words import command_text, duration_text
from roar.wire import ORDER, FileUse, Git, Host, Job, order_between, parameters_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that two jobs have each in their own way; None where one has none of it."""

    name: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two jobs side by side. What can have made the outputs differ has the names that `roar diff` gives it.

    Attributes:
        likely_causes: which of `parameters`, `inputs`, `code`, `packages` and `host` differ, the likely cause first;
            `parameters` not where only the order of the words differs, and something else does.
        parameters: the words of the commands, options by name, and the folder; the order of the words, where it is all
            that differs.
        inputs, outputs: by path, with their digests.
        code: commit, branch, and the patch of uncommitted changes.
        packages: the interpreter as `python`, and distributions by name, with their versions.
        host: facts about the machine.
        facts: the whole command, how it ended, how it was observed, labels.
        same_inputs, same_outputs: how many files are the same in both.
    """

    likely_causes: tuple[str, ...]
    parameters: tuple[Difference, ...]
    inputs: tuple[Difference, ...]
    code: tuple[Difference, ...]
    packages: tuple[Difference, ...]
    host: tuple[Difference, ...]
    outputs: tuple[Difference, ...]
    facts: tuple[Difference, ...]
    same_inputs: int
    same_outputs: int


def compare(a: Job, b: Job) -> Comparison:
    """What differs between `a` and `b`."""
    inputs, outputs = (_digests(a.inputs), _digests(b.inputs)), (_digests(a.outputs), _digests(b.outputs))
    causes = {
        "parameters": _differences(_parameters(a), _parameters(b)) + _order(a, b), "inputs": _differences(*inputs),
        "code": _differences(_code(a.git), _code(b.git)), "packages": _differences(_packages(a), _packages(b)),
        "host": _differences(_host(a.host), _host(b.host))}
    return Comparison(
        likely_causes=_likely(causes), **causes,
        outputs=_differences(*outputs), facts=_differences(dict(_facts(a)), dict(_facts(b))),
        same_inputs=_same(*inputs), same_outputs=_same(*outputs))


def _differences(a: Mapping[str, str | None], b: Mapping[str, str | None]) -> tuple[Difference, ...]:
    names = dict.fromkeys([*a, *b])
    return tuple(Difference(name=name, a=a.get(name), b=b.get(name)) for name in names
                 if name not in a or name not in b or a[name] != b[name])


def _likely(causes: Mapping[str, tuple[Difference, ...]]) -> tuple[str, ...]:
    names = tuple(name for name, differences in causes.items() if differences)
    order_alone = [difference.name for difference in causes["parameters"]] == [ORDER]
    return names[1:] if order_alone and len(names) > 1 else names


def _same(a: Mapping[str, str | None], b: Mapping[str, str | None]) -> int:
    return sum(1 for path, digest in a.items() if digest is not None and b.get(path) == digest)


def _digests(uses: Iterable[FileUse]) -> dict[str, str | None]:
    return {use.path: use.digest for use in uses}


def _known(facts: Mapping[str, str | None]) -> dict[str, str | None]:
    return {name: value for name, value in facts.items() if value is not None}


def _parameters(job: Job) -> dict[str, str | None]:
    return _known({**parameters_of(job.command), "folder": None if job.cwd == "." else job.cwd})


def _order(a: Job, b: Job) -> tuple[Difference, ...]:
    order = order_between(a.command, b.command)
    return () if order is None else (Difference(name=ORDER, a=order[0], b=order[1]),)


def _code(git: Git | None) -> dict[str, str | None]:
    if git is None:
        return {}
    return _known({"commit": git.commit, "branch": git.branch,
                   "patch": git.patch or ("not kept" if git.dirty else None),
                   **{f"{inner.path} ({inner.kind})": inner.commit for inner in git.repositories}})


def _packages(job: Job) -> dict[str, str | None]:
    if job.python is None:
        return {}
    return {"python": job.python.version, **job.python.versions()}


def _host(host: Host | None) -> dict[str, str | None]:
    if host is None:
        return {}
    return _known({"os": host.os, "machine": host.machine, "cpu": host.cpu, "cpus": str(host.cpus),
                   "memory": None if host.memory is None else str(host.memory), "gpus": ", ".join(host.gpus) or None})


def _facts(job: Job) -> Iterator[tuple[str, str | None]]:
    yield "Command", command_text(job.command)
    yield "Ended", str(job.state) if job.exit_code is None else f"exit code {job.exit_code}"
    yield "Took", duration_text(job.duration_s)
    yield "Observed", ", ".join([job.tracer.mode, *job.tracer.gaps])
    for key, value in sorted(job.labels.items()):
        yield f"Label {key}", value
