"""What is stale, changed or gone, against a plain reading of the rules: one job, one file, one reason at a time."""

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "record"))
from blake3 import blake3
from recording import dataset, unknown

from roar.model import FileUse, Kind
from roar.query.freshness import _WRITTEN_LATER, load_status
from roar.wire import Dataset, DatasetMember

ELSEWHERE = "s3://bucket/x"


def use(path, content):
    return FileUse(path=path, digest=blake3(content.encode()).hexdigest(), size=1)


def real_dataset(path, members):
    """As `dataset`, with the digests and sizes of real files."""
    rows = tuple(DatasetMember(path=name, digest=blake3(text.encode()).hexdigest(), size=len(text))
                 for name, text in members.items())
    whole = blake3("".join(f"{row.digest}  {row.path}\n" for row in rows).encode()).hexdigest()
    return (FileUse(path=path, digest=whole, size=len(rows), kind=Kind.DATASET, files=len(rows)),
            Dataset(digest=whole, members=rows))


def state(root, one):
    place = root / one.path
    if not place.exists():
        return "gone"
    return "fresh" if blake3(place.read_bytes()).hexdigest() == one.digest else "changed"


def is_changed(root, jobs, at, one, made, known, edges, written, counted):
    """Whether an input of the job at `at` was written again later, or is not there as it was read.

    Not where the job that wrote it took something from this one, nor where it edited it before such a one, which took
    something from both.
    """
    own = [other for other in jobs[at]["outputs"] if other.path == one.path]
    later = [(job["uid"], other, one.path in paths([job], "inputs")) for job in jobs[at + 1:]
             for other in job["outputs"] if other.path == one.path]
    after = [uid for uid, other, _ in later if other.digest != one.digest and follows(edges, uid, jobs[at]["uid"])]
    if one.path in known:
        return False
    if not own and later and later[-1][1].digest != one.digest and any(
            other.digest != one.digest and uid not in after
            and not (edits and any(follows(edges, last, uid) for last in after)) for uid, other, edits in later):
        return True
    readers = [[other for other in places if one.path not in paths([jobs[other]], "outputs")
                and (one.path, one.digest) in {(read.path, read.digest) for read in jobs[other]["inputs"]}]
               for places in counted.values()]
    for writer, now in written.get(one.path, ()):
        others = {max(places) for step in readers if (places := {*step} - {writer})}
        if now == "fresh" and others and all(
                reader < writer and follows(edges, jobs[writer]["uid"], jobs[reader]["uid"]) for reader in others):
            return False
    if one.path == ELSEWHERE or any(other.digest for other in own):
        return False
    now = state(root, one)
    stored = any((other.path, other.digest) == (ELSEWHERE, one.digest) for other in jobs[at]["outputs"])
    return now == "changed" or (now == "gone" and not stored and (one.path, one.digest) not in made)


def paths(jobs, what):
    return {one.path for job in jobs for one in job[what]}


def made_more(jobs, at, later):
    """Whether a job wrote all that a later one did, and more; what lies elsewhere counts where that wrote nothing."""
    one, other = ({use.path for use in jobs[place]["outputs"]} for place in (at, later))
    here = {path for path in other if not path.startswith("/")}
    return here <= one and any(not other or not path.startswith("/") for path in one - here)


def counted_jobs(jobs, edges):
    """By step the places of its last job, of the last that ended well, and of those from which one of these took.

    The last before that one that ended well and wrote the same paths and more counts, too, and so on; with who wrote
    each of these paths last.
    """
    latest = {}
    for step in {job["step"] for job in jobs}:
        places = [at for at, job in enumerate(jobs) if job["step"] == step][::-1]
        good = next((at for at in places if jobs[at]["well"]), places[0])
        found = [good]
        while more := [at for at in places if at < found[-1] and jobs[at]["well"] and made_more(jobs, at, found[-1])]:
            found.append(more[0])
        found += [next(at for at in places if jobs[at]["well"] and path in paths([jobs[at]], "outputs"))
                  for path in (paths([jobs[found[-1]]], "outputs") if len(found) > 1 else ())]
        latest[step] = [*{places[0], *found}]
    found = {at for places in latest.values() for at in places}
    uids = [job["uid"] for job in jobs]
    while more := {uids.index(maker) for reader, maker in edges if uids.index(reader) in found} - found:
        found |= more
    return latest, {step: sorted(at for at in found if jobs[at]["step"] == step) for step in sorted(latest)}


def follows(edges, uid, other):
    """Whether a job took something from another, directly or not."""
    found = {uid}
    while more := {maker for reader, maker in edges if reader in found} - found:
        found |= more
    return other in found


def written_at(root, jobs, counted):
    """By path what the jobs that count wrote, the latest step's latest first: job, and its state now."""
    order = [at for places in counted.values() for at in places]
    last = {(one.path, one.digest): at for at in sorted(order) for one in jobs[at]["outputs"]}
    written = {}
    for at in reversed(order):
        for one in jobs[at]["outputs"]:
            if one.digest and one.path != ELSEWHERE and last[one.path, one.digest] == at:
                written.setdefault(one.path, []).append((at, state(root, one)))
    return written


def is_made_of(jobs, taken, at, makers, path):
    """Whether a job took, directly or by way of other steps, what earlier ones of a step had written at a path."""
    uids = {jobs[maker]["uid"] for maker in makers if maker < at}
    found = {jobs[at]["uid"]}
    while more := {maker for reader, maker, _ in taken if reader in found} - found - uids:
        found |= more
    left = {(job["uid"], one.digest) for job in jobs for one in job["outputs"] if one.path == path}
    return any(reader in found and maker in uids and (maker, digest) in left for reader, maker, digest in taken)


def outputs_now(root, jobs, edges, taken, latest, counted):
    """By path the place of the job whose output is told of, and its state now."""
    outputs = {}
    written = written_at(root, jobs, counted)
    for path, contents in written.items():
        top, now = contents[0]
        later = [found for found in contents if now == "changed" and found[0] > top]
        after = [found for found in later if follows(edges, jobs[found[0]]["uid"], jobs[top]["uid"])]
        others = [found for found in later if found not in after
                  and not is_made_of(jobs, taken, top, counted[jobs[found[0]]["step"]], path)]
        at, now = next((found for found in later if found[1] == "fresh" and found in after + others),
                       [*others, contents[0]][0])
        if now != "gone" or at in latest[jobs[at]["step"]]:
            outputs[path] = at, now
    return outputs


def is_superseded(jobs, at, later, of_the_step):
    """Whether a later job of the step read all that this one had read, and wrote over all of its outputs or none."""
    external = paths([jobs[at]], "inputs") - of_the_step
    own = paths([jobs[at]], "outputs")
    remade = [job for job in later if job["well"] and job["outputs"]]
    return any(external <= paths([job], "inputs") and (own <= paths([job], "outputs")
                                                       or not own & paths([job], "outputs"))
               for job in (*remade[:1], *remade[-1:]))


def takings(jobs, taken, counted, settled):
    """Which job that counts took what from which, and whether all paths at which it read that are settled."""
    at_of = {job["uid"]: at for at, job in enumerate(jobs)}
    step_of = {at: step for step, places in counted.items() for at in places}
    found = set()
    for reader, maker, digest in ((at_of[reader], at_of[maker], digest) for reader, maker, digest in taken):
        if reader not in step_of:
            continue
        again = [at for at in counted[step_of[maker]] if at > maker and step_of[maker] != step_of[reader]
                 and digest in {one.digest for one in jobs[at]["outputs"]}]
        read = [one.path for one in jobs[reader]["inputs"] if one.digest == digest]
        found.add((reader, max([maker, *again]), digest, all((reader, path) in settled for path in read)))
    return found


def reruns(jobs, counted, edges):
    """Which jobs left nothing that counts, which left earlier versions, and what was read again.

    What a job has edited is read again where the last one that edited it does not go on with that.
    """
    covered, superseded, settled = set(), set(), set()
    for places in counted.values():
        of_the_step = paths([jobs[at] for at in places], "outputs") if len(places) > 1 else set()
        for at in places:
            later = [jobs[other] for other in places if other > at]
            own = paths([jobs[at]], "outputs")
            if own <= paths(later, "outputs") and (later or (len(places) > 1 and not jobs[at]["well"])):
                covered.add(at)
            if is_superseded(jobs, at, later, of_the_step):
                superseded.add(at)
            known = paths(later, "outputs") | paths([job for job in later if job["well"]], "inputs")
            settled |= {(at, path) for path in (paths([jobs[at]], "inputs") - own) & known}
            for path in paths([jobs[at]], "inputs") & own:
                edited = [job["uid"] for job in later if job["well"]
                          and path in paths([job], "inputs") & paths([job], "outputs")]
                settled |= {(at, path)} if edited and not follows(edges, edited[-1], jobs[at]["uid"]) else set()
    return covered, superseded, settled


def made_of_failures(jobs, taken, took, step_of, edges):
    """Who took something from a job that did not end well, and whether that is settled.

    Not what its step went on with until it ended well; but that, too, where the job edited what is not its step's.
    """
    uids = [job["uid"] for job in jobs]
    failed = {at for at in step_of if not jobs[at]["well"]}
    went_on = {at for at in failed if did_go_on(jobs, at, step_of, edges)}
    spoilt = {(uids.index(reader), at, digest) for reader, maker, digest in taken
              if (at := uids.index(maker)) in failed for made in jobs[at]["outputs"] for found in jobs[at]["inputs"]
              if made.path == found.path and made.digest == digest and not any(
                  found.digest and (found.path, found.digest) in {(one.path, one.digest) for one in job["outputs"]}
                  for job in jobs[:at] if job["step"] == jobs[at]["step"])}
    return {(reader, is_settled) for reader, maker, digest, is_settled in took if maker in failed
            and ((reader, maker, digest) in spoilt if step_of[reader] == step_of[maker] else maker not in went_on)}


def did_go_on(jobs, at, step_of, edges):
    """Whether a later job of the step that ended well took something from one."""
    return any(jobs[other]["well"] and follows(edges, jobs[other]["uid"], jobs[at]["uid"])
               for other in step_of if other > at and step_of[other] == step_of[at])


def expected(root, jobs, taken):
    """By step whether it is stale, and by path step and state of an output: the rules, word by word."""
    edges = {(reader, maker) for reader, maker, _ in taken}
    latest, counted = counted_jobs(jobs, edges)
    step_of = {at: step for step, places in counted.items() for at in places}
    written = written_at(root, jobs, counted)
    made = {(one.path, one.digest) for at in step_of for one in jobs[at]["outputs"] if one.digest}
    covered, superseded, settled = reruns(jobs, counted, edges)
    took = takings(jobs, taken, counted, settled)
    idle = set(covered)
    while more := {maker for reader, maker, *_ in took if maker in idle and reader not in idle}:
        idle -= more
    own, left = set(), set()
    for at in set(step_of) - idle:
        for one in jobs[at]["inputs"]:
            if one.digest and is_changed(root, jobs, at, one, made, (), edges, written, counted):
                is_settled = (at, one.path) in settled
                own |= set() if is_settled else {at}
                left |= {at} if not is_settled or at in superseded else set()
    for at, is_settled in made_of_failures(jobs, taken, took, step_of, edges):
        if at not in idle:
            own |= set() if is_settled else {at}
            left |= {at} if not is_settled or at in superseded else set()
    while True:
        told = {(reader, is_settled) for reader, maker, _, is_settled in took if reader not in idle
                and maker in (own if step_of[reader] == step_of[maker] else left)}
        more_own = {at for at, is_settled in told if not is_settled} - own
        more_left = {at for at, is_settled in told if not is_settled or at in superseded} - left
        if not more_own | more_left:
            break
        own, left = own | more_own, left | more_left
    outputs = {path: (step_of[at], "stale" if now == "fresh" and (
        at in left or (not jobs[at]["well"] and not did_go_on(jobs, at, step_of, edges))) else now)
               for path, (at, now) in outputs_now(
                   root, jobs, edges, taken, latest, counted).items()}
    return {step_of[at] for at in own}, outputs


@pytest.mark.parametrize("seed", range(100))
def test_nothing_stale_is_missed(recorder, seed):
    dice = random.Random(seed)
    root = Path(recorder.workspace.root)
    names = [*(f"f{number}" for number in range(dice.randint(1, 6))), ELSEWHERE]
    jobs = []
    commands = dice.randint(0, 5)
    for _ in range(dice.randint(1, 8)):
        inputs, outputs = ([use(path, dice.choice("ab")) if dice.random() > 0.1 else unknown(path)
                            for path in dice.sample(names, dice.randint(0, min(4, len(names))))] for _ in range(2))
        well = dice.random() < 0.8
        job = recorder.job(["cmd", str(dice.randint(0, commands))], inputs, outputs, exit_code=0 if well else 1)
        jobs.append({"uid": job.uid, "step": job.step, "inputs": inputs, "outputs": outputs, "well": well})
    for path in names[:-1]:
        if dice.random() < 0.8:
            (root / path).write_text(dice.choice("aab"))
    taken = recorder.database.execute(
        "SELECT reader.uid, maker.uid, lower(hex(digest)) FROM dependency"
        " JOIN job AS reader ON reader.id = consumer_id JOIN job AS maker ON maker.id = producer_id"
        " JOIN artifact ON artifact.id = artifact_id").fetchall()
    stale, outputs = expected(root, jobs, taken)
    status = load_status(recorder.database, recorder.workspace, 1)
    assert {step.number for step in status.steps if step.stale} == stale
    assert {output.path: (output.step, output.freshness) for output in status.outputs} == outputs


def test_what_a_job_moved_within_a_trackers_store_is_not_missed(recorder):
    recorder.job("move", [use("runs/a", "a")], [use("plot", "p")], payloads=[use("old/a", "a")])
    recorder.job("look", [use("runs/a", "a")], [use("table", "t")])
    status = load_status(recorder.database, recorder.workspace, 1)
    assert [step.stale for step in status.steps] == [None, "its input runs/a is gone"]


@pytest.mark.parametrize(("read", "stale"), [
    ({"d/": "ab"}, None), ({"d/": "a"}, None), ({"d/a": "a"}, None), ({"one": "o"}, None),
    ({"d/": "abx"}, "its input d/ is gone"), ({"d/a": "x"}, "its input d/a is gone"),
    ({"e/": "ab"}, "its input e/ is gone"), ({"one": "x"}, "its input one is gone"),
    ({"copy": "o"}, "its input copy is gone")])
def test_what_is_gone_is_not_missed_where_a_step_made_it(recorder, read, stale):
    whole, members = real_dataset("d/", {"a": "a", "b": "b"})
    recorder.job("make", [], [whole, use("one", "o")], datasets=[members])
    [(path, text)] = read.items()
    taken, more = real_dataset(path, {name: name for name in text}) if path.endswith("/") else (use(path, text), None)
    recorder.job("take", [taken], [use("out", "out")], datasets=[more] if more else [])
    (Path(recorder.workspace.root) / "out").write_text("out")
    status = load_status(recorder.database, recorder.workspace, 1)
    assert [step.stale for step in status.steps] == [None, stale]


def test_a_dataset_is_looked_at_member_by_member(recorder):
    root = Path(recorder.workspace.root)
    (root / "d").mkdir()
    for name in "ab":
        (root / "d" / name).write_text(name * 10)
    whole, members = dataset("d/", {"a": "a", "b": "b"})
    recorder.job("make", [], [whole], datasets=[members])
    recorder.job("read", [whole], [])
    status = load_status(recorder.database, recorder.workspace, 1)
    assert [(output.path, output.freshness) for output in status.outputs] == [("d/", "changed")]
    assert [step.stale for step in status.steps] == [None, "its input d/ has changed since"]


@pytest.mark.parametrize("as_dataset", [False, True])
@pytest.mark.parametrize(("now", "changed"), [("abX", []), ("abY", ["d/", "d/c"]), ("zbX", ["d/"]), ("abc", ["d/c"])])
def test_what_a_later_job_wrote_in_a_dataset_is_no_change_of_it(recorder, as_dataset, now, changed):
    root = Path(recorder.workspace.root)
    (root / "d").mkdir()
    for name, text in zip("abc", now, strict=True):
        (root / "d" / name).write_text(text)
    whole, members = real_dataset("d/", {name: name for name in "abc"})
    recorder.job("make", [], [whole], datasets=[members])
    other, other_members = real_dataset("d/", {"c": "X"})
    if as_dataset:
        recorder.job("fix", [], [FileUse(path="d/*", digest=other.digest, size=1, kind=Kind.DATASET, files=1)],
                     datasets=[other_members])
    else:
        recorder.job("fix", [], [use("d/c", "X")])
    now_there, all_members = real_dataset("d/", {"a": "a", "b": "b", "c": "X"})
    recorder.job("use", [now_there], [], datasets=[all_members])
    status = load_status(recorder.database, recorder.workspace, 1)
    found = {output.path: output.freshness for output in status.outputs}
    assert (found["d/"] == "changed") == ("d/" in changed)
    if not as_dataset:
        assert (found["d/c"] == "changed") == ("d/c" in changed)


@pytest.mark.parametrize("how", ["a file", "a dataset", "all", "nothing"])
@pytest.mark.parametrize(("changed", "stale_with"), [
    ("", []), ("c", ["nothing"]), ("a", ["a file", "a dataset", "nothing"])])
def test_what_a_job_wrote_itself_in_a_dataset_that_it_read_is_no_change_of_its_input(recorder, how, changed,
                                                                                     stale_with):
    root = Path(recorder.workspace.root)
    (root / "d").mkdir()
    own = {"a file": "c", "a dataset": "bc", "all": "abc", "nothing": ""}[how]
    for name in "abc":
        (root / "d" / name).write_text("by hand" if name in changed else name.upper() if name in own else name)
    whole, members = real_dataset("d/", {name: name for name in "abc"})
    written, more = real_dataset("d/", {name: name.upper() for name in own})
    outputs = {"a file": [use("d/c", "C")], "nothing": []}.get(how, [written])
    recorder.job("fix", [whole], outputs, datasets=[members, *([more] if outputs == [written] else [])])
    [step] = load_status(recorder.database, recorder.workspace, 1).steps
    assert step.stale == ("its input d/ has changed since" if how in stale_with else None)


@pytest.mark.parametrize(("deleted", "now", "reason"), [
    ("ab", "c", None), ("abc", "", None), ("a", "bc", None), ("a", "c", ": d/b is gone"), ("ab", "C", ""),
    ("", "bc", ": d/a is gone")])
def test_what_a_job_deleted_itself_of_what_it_read_is_no_change_of_its_input(recorder, deleted, now, reason):
    root = Path(recorder.workspace.root)
    if now:
        (root / "d").mkdir()
    for name in now:
        (root / "d" / name.lower()).write_text(name)
    whole, members = real_dataset("d/", {name: name for name in "abc"})
    recorder.job("clean", [whole, use("list", "l")], datasets=[members], deleted=[f"d/{name}" for name in deleted]
                 + ["list"])
    [step] = load_status(recorder.database, recorder.workspace, 1).steps
    assert step.stale == (None if reason is None else f"its input d/ has changed since{reason}")


@pytest.mark.parametrize(("now", "freshness"), [
    ("ab", "fresh"), ("ax", "changed"), ("a", "changed"), ("-b", "changed"), ("", "gone")])
def test_shards_are_looked_at_one_by_one(recorder, now, freshness):
    root = Path(recorder.workspace.root)
    (root / "d").mkdir()
    for number, text in enumerate(now, 1):
        if text != "-":
            (root / "d" / f"m-0000{number}-of-00002").write_text(text)
    whole, members = real_dataset("d/m-*-of-00002", {"m-00001-of-00002": "a", "m-00002-of-00002": "b"})
    recorder.job("make", [], [whole], datasets=[members])
    status = load_status(recorder.database, recorder.workspace, 1)
    assert [output.freshness for output in status.outputs] == [freshness]
    lost = f"d/m-0000{2 if now == 'a' else 1}-of-00002 is gone"
    assert (lost in (status.outputs[0].reason or "")) == (now in {"a", "-b"})


def test_what_later_jobs_wrote_elsewhere_is_not_looked_at(recorder):
    """Whether a dataset was patched since: from the paths in its folder, not from all that was written since."""
    plan = recorder.database.execute(f"EXPLAIN QUERY PLAN {_WRITTEN_LATER}", {"job": 1, "first": b"d/", "end": b"d0"})
    first, second, *_ = [row[3] for row in plan]
    assert first.startswith("SEARCH path USING")
    assert "path>? AND path<?" in first
    assert second.startswith("SEARCH file_use USING")
    assert "path_id=?" in second


@pytest.mark.parametrize(("now", "found"), [
    ("abcd", {1: "fresh", 2: "fresh"}), ("aBcd", {1: "changed", 2: "fresh"}), ("a-cd", {1: "changed", 2: "fresh"}),
    ("abcD", {1: "fresh", 2: "changed"}), ("--cd", {2: "fresh"})])
def test_each_of_several_jobs_that_filled_a_folder_is_looked_after(recorder, now, found):
    """What was cleared away before the folder was filled again is not missed."""
    root = Path(recorder.workspace.root)
    (root / "d").mkdir()
    for name, text in zip("abcd", now, strict=True):
        if text != "-":
            (root / "d" / name).write_text(text)
    for command, names in (("first", "ab"), ("second", "cd")):
        whole, members = real_dataset("d/", {name: name for name in names})
        recorder.job(command, [], [whole], datasets=[members])
    status = load_status(recorder.database, recorder.workspace, 1)
    assert {output.step: output.freshness for output in status.outputs} == found


def test_a_rerun_that_finds_nothing_to_do_leaves_its_outputs_to_the_step(recorder):
    root = Path(recorder.workspace.root)
    recorder.job("make", [use("i", "i")], [use("o", "o")])
    recorder.job("make", [], [])
    for now, freshness in (("i", "fresh"), ("new", "stale")):
        (root / "i").write_text(now)
        (root / "o").write_text("o")
        [output] = load_status(recorder.database, recorder.workspace, 1).outputs
        assert (output.path, output.freshness) == ("o", freshness)


def test_jobs_that_fill_one_folder_with_other_files_leave_each_other_alone(recorder):
    root = Path(recorder.workspace.root)
    (root / "d").mkdir()
    ours, ours_whole = real_dataset("d/", {"a1": "1", "a2": "2"})
    first, first_whole = real_dataset("d/", {"b1": "1", "b2": "2"})
    again, again_whole = real_dataset("d/", {"b1": "x", "b2": "y"})
    recorder.job("a", [], [ours], datasets=[ours_whole])
    recorder.job("b", [], [first], datasets=[first_whole])
    recorder.job("read a", [ours], [use("o", "o")], datasets=[])
    recorder.job("b", [], [again], datasets=[again_whole])
    for name, text in {"d/a1": "1", "d/a2": "2", "d/b1": "x", "d/b2": "y", "o": "o"}.items():
        (root / name).write_text(text)
    assert {output.freshness for output in load_status(recorder.database, recorder.workspace, 1).outputs} == {"fresh"}
    (root / "d/a1").write_text("by hand")
    found = {output.step: output.reason for output in load_status(recorder.database, recorder.workspace, 1).outputs}
    assert found == {1: "no longer what @1 wrote", 2: None, 3: "its input d/ has changed since"}


@pytest.mark.parametrize(("read", "edits"), [("", False), ("o", True), ("x", False), ("copy", True)])
def test_a_rerun_that_wrote_over_what_a_later_step_wrote_is_named(recorder, read, edits):
    """The second is another variant, be it of the same data, or it edits what the first one wrote."""
    recorder.job("first", [], [use("o", "a"), use("x", "x")])
    recorder.job("second", [use(read, {"x": "x"}.get(read, "a"))] if read else [], [use("o", "b")])
    recorder.job("first", [], [use("o", "c"), use("x", "x")])
    again = (2, "changed", "written again by @1 since: roar run @2") if edits else (1, "fresh", None)
    step = 2 if edits else 1
    for text, expected in (("c", again), ("z", (step, "changed", f"no longer what @{step} wrote"))):
        (Path(recorder.workspace.root) / "o").write_text(text)
        output = next(one for one in load_status(recorder.database, recorder.workspace, 1).outputs if one.path == "o")
        assert (output.step, output.freshness, output.reason) == expected


@pytest.mark.parametrize(("read", "edits"), [("d/", True), ("d/a", True), ("d/b", False)])
def test_who_makes_one_file_of_a_dataset_anew_does_not_edit_it(recorder, read, edits):
    root = Path(recorder.workspace.root)
    (root / "d").mkdir()
    versions = [real_dataset("d/", {"a": text, "b": "b"}) for text in "ax"]
    recorder.job("first", [], [versions[0][0]], datasets=[versions[0][1]])
    recorder.job("second", [versions[0][0] if read == "d/" else use(read, read[-1])], [use("d/a", "2")])
    recorder.job("first", [], [versions[1][0]], datasets=[versions[1][1]])
    for name, text in (("a", "x"), ("b", "b")):
        (root / "d" / name).write_text(text)
    status = load_status(recorder.database, recorder.workspace, 1)
    assert ("written again by @1 since: roar run @2" in {output.reason for output in status.outputs}) == edits


def test_what_another_step_makes_anew_of_the_same_data_was_not_edited_in_place(recorder):
    recorder.job("drive", [], [use("data", "d"), use("m", "1")])
    recorder.job("plot", [use("m", "1")], [use("p", "p")])
    recorder.job("try", [use("data", "d")], [use("m", "2")])
    (Path(recorder.workspace.root) / "m").write_text("2")
    status = load_status(recorder.database, recorder.workspace, 1)
    assert [step.stale for step in status.steps] == [None, "its input m was written again by @3", None]


@pytest.mark.parametrize(("to", "stale"), [("copy", "its input d is gone"), (ELSEWHERE, None)])
def test_what_was_copied_is_missed_where_it_is_gone_but_not_what_was_stored(recorder, to, stale):
    recorder.job("copy", [use("d", "d")], [use(to, "d")])
    (Path(recorder.workspace.root) / "copy").write_text("d")
    [step] = load_status(recorder.database, recorder.workspace, 1).steps
    assert step.stale == stale


@pytest.mark.parametrize(("now", "stale"), [
    ({}, None), ({"cur": "v2"}, "its symlink cur leads to v2 now"),
    ({"over": "v2"}, "its symlink over leads to v2 now"),
    ({"over": "cur2", "cur2": "v1"}, None), ({"cur": "copy"}, None), ({"made": "v2"}, None),
    ({"cur": "v0"}, "its symlink cur leads to v0 now")])
@pytest.mark.parametrize("as_dataset", [False, True])
def test_a_symlink_that_leads_to_other_content_now_makes_stale(recorder, now, stale, as_dataset):
    """Read through `over`, which leads by `cur` to `v1`."""
    root = Path(recorder.workspace.root)
    for folder, text in (("v1", "a"), ("v2", "b"), ("copy", "a")):
        (root / folder).mkdir()
        (root / folder / "f").write_text(text)
    whole, members = real_dataset("v1/", {"f": "a"})
    links = {"over": "cur", "cur": "v1", "made": "v1"}
    recorder.job("read", [whole if as_dataset else use("v1/f", "a")], [], datasets=[members] if as_dataset else [],
                 symlinks=links, made_links=["made"])
    for name, target in {**links, **now}.items():
        (root / name).symlink_to(target)
    [step] = load_status(recorder.database, recorder.workspace, 1).steps
    assert step.stale == stale


@pytest.mark.parametrize(("now", "stale"), [
    ({}, None), ({"pick/2": "../raw/3"}, "its symlink pick/2 leads to ../raw/3 now"), ({"pick/2": "../copy"}, None),
    ({"pick/3": None}, "its symlink pick/3 is gone"),
    ({"pick/d": "../raw/e"}, "its symlink pick/d leads to ../raw/e now"),
    ({"pick/d": "../raw/d2"}, None), ({"pick/names": "../raw/1"}, None)])
def test_a_symlink_to_one_file_of_a_dataset_that_leads_to_another_one_now(recorder, now, stale):
    root = Path(recorder.workspace.root)
    files = {"1": "a", "2": "b", "3": "c", "d/f": "d", "d.txt": "t"}
    whole, members = real_dataset("raw/", files)
    for name, text in {**files, "d2/f": "d", "e/f": "e", "../copy": "b"}.items():
        (root / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "raw" / name).write_text(text)
    links = {**{f"pick/{name}": f"../raw/{name}" for name in "123d"}, "pick/names": "../raw/names"}
    recorder.job("read", [whole], [], datasets=[members], symlinks=links)
    (root / "pick").mkdir()
    for name, target in {**links, **now}.items():
        if target:
            (root / name).symlink_to(target)
    [step] = load_status(recorder.database, recorder.workspace, 1).steps
    assert step.stale == stale


@pytest.mark.parametrize("touched", [True, False])
def test_a_symlink_that_a_job_made_is_not_missed(recorder, touched):
    (Path(recorder.workspace.root) / "v1").write_text("a")
    recorder.job("turn", [], [], symlinks={"best": "v1"} if touched else {}, made_links=["best"] if touched else [])
    recorder.job("read", [use("v1", "a")], [], symlinks={"best": "v1"})
    *_, step = load_status(recorder.database, recorder.workspace, 1).steps
    assert step.stale == (None if touched else "its symlink best is gone")


@pytest.mark.parametrize(("text", "stale"), [
    ("a", None), ("b", "its symlink {} is a {} now"), (None, "its symlink {} is gone")])
@pytest.mark.parametrize(("link", "target", "kind"), [("data", "store", "folder"), ("f", "store/f", "file")])
def test_a_symlink_in_whose_place_something_else_lies(recorder, link, target, kind, text, stale):
    """As by `dvc unprotect` or `cp --remove-destination`."""
    root = Path(recorder.workspace.root)
    for folder, content in [("store", "a"), *([("data", text)] if kind == "folder" and text else [])]:
        (root / folder).mkdir()
        (root / folder / "f").write_text(content)
    if kind == "file" and text:
        (root / "f").write_text(text)
    recorder.job("read", [use("store/f", "a")], [], symlinks={link: target})
    [step] = load_status(recorder.database, recorder.workspace, 1).steps
    assert step.stale == (stale and stale.format(link, kind))


@pytest.mark.parametrize(("second", "stale"), [
    (([("names", "ab")], ["a", "b"]), True),
    (([("names", "ab")], ["a"]), False),  # as make(1) leaves what is still as it has to be
    (([], ["a", "b"]), False),  # it did not look at what had led to that
    (([("names", "ab")], ["d"]), False),  # a file of another name each time
    (([("names", "ab")], ["a", "b", "c"]), False)])
def test_what_its_step_makes_no_more_is_missed(recorder, second, stale):
    read, made = second
    recorder.job("make", [use("names", "abc")], [use(name, name) for name in "abc"])
    recorder.job("join", [use(name, name) for name in "abc"], [use("all", "abc")])
    recorder.job("make", [use(*one) for one in read], [use(name, name) for name in made])
    for name, text in (("names", "ab"), ("a", "a"), ("b", "b"), ("all", "abc")):
        (Path(recorder.workspace.root) / name).write_text(text)
    steps = load_status(recorder.database, recorder.workspace, 1).steps
    assert (steps[1].stale == "its input c is gone, which @1 did not make again") == stale


@pytest.mark.parametrize(("edited", "stale"), [
    ("", None), ("c", None), ("b", "its input d/ has changed since"), ("bc", "its input d/ has changed since")])
@pytest.mark.parametrize("well", [True, False])
def test_what_a_later_job_of_the_step_read_again_is_no_change_to_it(recorder, edited, stale, well):
    """Of the files from which the first job made `mid`, the second one read the one that was edited before it."""
    root = Path(recorder.workspace.root)
    whole, members = real_dataset("d/", {name: name for name in "abc"})
    recorder.job("make", [whole], [use("mid", "m")], datasets=[members])
    recorder.job("make", [use("d/c", "C"), use("mid", "m")], [use("out", "o")], exit_code=0 if well else 1)
    (root / "d").mkdir()
    for name in "abc":
        (root / "d" / name).write_text(name if name == "a" or name not in edited + "c" else name.upper())
    for name, text in (("mid", "m"), ("out", "o")):
        (root / name).write_text(text)
    [step] = load_status(recorder.database, recorder.workspace, 1).steps
    assert step.stale == (stale if well else "its input d/ has changed since")


def test_old_checkpoints_that_are_gone_are_not_missed(recorder):
    for number in range(5):
        recorder.job("train", [use(f"ck{number}", str(number))], [use(f"ck{number + 1}", str(number + 1))],
                     deleted=[f"ck{number}"])
    (Path(recorder.workspace.root) / "ck5").write_text("5")
    status = load_status(recorder.database, recorder.workspace, 1)
    assert [(output.path, output.freshness) for output in status.outputs] == [("ck5", "fresh")]
    assert [step.stale for step in status.steps] == [None]


def test_many_reruns_are_looked_through_quickly(recorder):
    recorder.database.execute("PRAGMA synchronous = OFF")
    for number in range(1000):
        recorder.job("train", [use("data", str(number)), use(f"ck{number}", str(number))],
                     [use(f"ck{number + 1}", str(number + 1))])
    steps = []
    recorder.database.set_progress_handler(lambda: steps.append(1), 1000)
    load_status(recorder.database, recorder.workspace, 1)
    recorder.database.set_progress_handler(None, 0)
    assert len(steps) < 1000
