"""What a REF names."""

import os

import pytest
from blake3 import blake3
from recording import dataset, digest, file

from roar.errors import NotFoundError
from roar.model import FileUse, Kind, TrackerRun, TrackerRunState
from roar.query.references import (
    ArtifactReference,
    FolderReference,
    JobReference,
    SessionReference,
    TrackerRunReference,
    resolve,
    resolve_or_folder,
)
from roar.record.writer import start_session
from roar.wire import Dataset, DatasetMember

URL = "https://wandb.ai/team/proj/runs/abc123"


@pytest.fixture
def ask(recorder, monkeypatch):
    monkeypatch.chdir(recorder.workspace.root)
    return lambda ref: resolve(recorder.database, recorder.workspace, ref)


def _blake3(text):
    return blake3(text.encode()).hexdigest()


def _real(recorder, name, text):
    """A file on disk and its use."""
    path = os.path.join(recorder.workspace.root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as stream:
        stream.write(text)
    return FileUse(path=name, digest=_blake3(text), size=len(text))


def test_steps(recorder, ask):
    uids = [recorder.job(f"python {name}.py").uid for name in "abca"]
    assert ask("@1") == JobReference(4, uids[3]), "a step is its latest job"
    assert ask("@2").uid == uids[1]
    assert ask("@-1").uid == uids[3]
    assert ask("@-3").uid == uids[1]
    with pytest.raises(NotFoundError, match="@1 to @3") as caught:
        ask("@4")
    assert caught.value.candidates == ("@1  python a.py", "@2  python b.py", "@3  python c.py")
    for odd in ("@0", "@x", "@1.5", "@\u0661"):
        with pytest.raises(NotFoundError):
            ask(odd)


def test_steps_belong_to_the_current_session(recorder, ask):
    old = recorder.job("python a.py")
    start_session(recorder.database)
    with pytest.raises(NotFoundError, match="no jobs yet"):
        ask("@1")
    new = recorder.job("python a.py")
    assert ask("@1").uid == new.uid
    assert ask(old.uid[:8]).uid == old.uid
    assert isinstance(ask("@"), SessionReference)


def test_prefixes(recorder, ask):
    recorder.job("a", uid="aaaa1" + "0" * 27)
    recorder.job("b", uid="aaaa2" + "0" * 27)
    assert ask("aaaa1").row_id == 1
    assert ask("AAAA2").row_id == 2
    with pytest.raises(NotFoundError, match="more than one") as caught:
        ask("aaaa")
    assert len(caught.value.candidates) == 2
    assert "job aaaa10000000  a" in caught.value.candidates
    with pytest.raises(NotFoundError, match="too short"):
        ask("aaa")
    with pytest.raises(NotFoundError, match="starts with 'aaaa2f'") as caught:
        ask("aaaa2f")
    assert caught.value.candidates == ("job aaaa20000000  b",)


def test_digests(recorder, ask):
    recorder.job("a", [file("data")])
    assert ask(digest("data")[:6]) == ArtifactReference(1, digest("data"))
    assert ask(digest("data")) == ArtifactReference(1, digest("data"))
    with pytest.raises(NotFoundError):
        ask(digest("other"))


def test_a_path_is_what_lies_there_now(recorder, ask):
    use = _real(recorder, "data/a.csv", "one")
    recorder.job("make", [], [use])
    assert ask("data/a.csv") == ArtifactReference(1, use.digest, "data/a.csv")
    assert ask("./data/../data/a.csv").digest == use.digest
    _real(recorder, "data/a.csv", "two")
    with pytest.raises(NotFoundError, match="has changed since") as caught:
        ask("data/a.csv")
    assert caught.value.hint == f"roar show {use.digest[:12]}"
    os.unlink("data/a.csv")
    with pytest.raises(NotFoundError, match="cannot be read now") as caught:
        ask("data/a.csv")
    assert caught.value.candidates == (f"recorded as {use.digest[:12]}",)


def test_a_copy_is_known_by_its_content(recorder, ask):
    use = _real(recorder, "a.csv", "one")
    recorder.job("make", [], [use])
    _real(recorder, "copy.csv", "one")
    assert ask("copy.csv").digest == use.digest


def test_a_folder_is_its_dataset(recorder, ask):
    uses = [_real(recorder, f"images/{name}.png", name) for name in "ab"]
    whole, members = dataset("images/", {})
    members = Dataset(digest=digest("whole"), members=tuple(
        DatasetMember(path=os.path.basename(use.path), digest=use.digest, size=use.size) for use in uses))
    whole = file("images/", "whole", size=2, kind=whole.kind, files=2)
    recorder.job("make", [], [whole], datasets=[members])
    assert ask("images").digest == whole.digest
    assert ask("images/").digest == whole.digest
    assert ask("images/a.png").digest == uses[0].digest, "a member is an artifact, too"
    _real(recorder, "images/a.png", "c")
    with pytest.raises(NotFoundError, match="no longer those of any recorded dataset"):
        ask("images/")


def _dataset_of(path, uses, inside):
    """A dataset at `path` of files in the folder `inside`, and its use."""
    members = Dataset(digest=digest(path + "".join(use.digest for use in uses)), members=tuple(
        DatasetMember(path=use.path[len(inside):], digest=use.digest, size=use.size)
        for use in sorted(uses, key=lambda use: use.path)))
    return FileUse(path=path, digest=members.digest, size=9, kind=Kind.DATASET, files=len(uses)), members


def test_a_folder_is_the_largest_dataset_whose_files_are_all_there(recorder, ask):
    uses = [_real(recorder, f"d/{name}", name) for name in "abcdef"]
    found = []
    for number in (5, 6, 3):
        whole, members = _dataset_of("d/", uses[:number], "d/")
        recorder.job("read", [whole], datasets=[members])
        found.append(whole.digest)
    assert found.index(ask("d").digest) == 1
    os.unlink(os.path.join(recorder.workspace.root, "d/f"))
    assert found.index(ask("d").digest) == 0


def test_shards_are_found_by_their_pattern(recorder, ask):
    uses = [_real(recorder, f"a/m-0000{number}-of-00002.bin", str(number)) for number in (1, 2)]
    whole, members = _dataset_of("a/m-*-of-00002.bin", uses, "a/")
    recorder.job("make", [], [whole], datasets=[members])
    assert ask("a/m-*-of-00002.bin").digest == whole.digest
    _real(recorder, uses[0].path, "changed")
    with pytest.raises(NotFoundError, match="no longer those of any recorded dataset"):
        ask("a/m-*-of-00002.bin")
    os.unlink(os.path.join(recorder.workspace.root, uses[0].path))
    with pytest.raises(NotFoundError, match=f"{uses[0].path} of {whole.digest[:12]} is gone"):
        ask("a/m-*-of-00002.bin")


@pytest.mark.parametrize(("path", "inside", "names"), [
    ("a/", "a/", ["f1", "f2", "sub/f3", "f0010", "ä b"]), ("a/sub/", "a/sub/", ["f1", "f2"]),
    ("a/m-*-of-00003.bin", "a/", ["m-00001-of-00003.bin", "m-00002-of-00003.bin", "m-00003-of-00003.bin"]),
])
def test_a_member_of_a_dataset_that_was_changed_or_deleted_is_known(recorder, ask, path, inside, names):
    first = [_real(recorder, inside + name, name) for name in names]
    second = [_real(recorder, inside + name, f"{name} again") for name in names]
    for uses in (first, second):
        whole, members = _dataset_of(path, uses, inside)
        recorder.job("make", [], [whole], datasets=[members])
    for name, old, new in zip(names, first, second, strict=True):
        assert ask(inside + name) == ArtifactReference(ask(new.digest).row_id, new.digest, inside + name)
        _real(recorder, inside + name, "other")
        with pytest.raises(NotFoundError, match=f"{name} has changed since it was recorded") as caught:
            ask(inside + name)
        assert caught.value.hint == f"roar show {new.digest[:12]}"
        assert caught.value.candidates == (f"recorded as {new.digest[:12]}", f"recorded as {old.digest[:12]}")
        os.unlink(inside + name)
        with pytest.raises(NotFoundError, match=f"{name} cannot be read now: No such file") as caught:
            ask(inside + name)
        assert caught.value.hint == f"roar show {new.digest[:12]}"
    with pytest.raises(NotFoundError, match="knows no job"):
        ask(inside + "never")


def test_a_file_that_was_recorded_by_itself_and_in_a_dataset_has_both_versions(recorder, ask):
    alone, within, last = (_real(recorder, "a/f", text) for text in ("1", "2", "3"))
    whole, members = _dataset_of("a/", [within, _real(recorder, "a/g", "g")], "a/")
    recorder.job("one", [], [alone])
    recorder.job("two", [], [whole], datasets=[members])
    recorder.job("three", [last], [])
    os.unlink("a/f")
    with pytest.raises(NotFoundError) as caught:
        ask("a/f")
    assert caught.value.candidates == tuple(f"recorded as {use.digest[:12]}" for use in (last, within, alone))


def test_a_member_is_found_without_a_look_at_the_others(recorder, ask):
    uses = [FileUse(path=f"a/{number:05}", digest=_blake3(str(number)), size=1) for number in range(5000)]
    whole, members = _dataset_of("a/", uses, "a/")
    recorder.job("make", [], [whole], datasets=[members])
    steps = []
    recorder.database.set_progress_handler(lambda: steps.append(1), 100)
    with pytest.raises(NotFoundError, match="cannot be read now"):
        ask("a/03333")
    recorder.database.set_progress_handler(None, 0)
    assert len(steps) < 50, "hundreds of the virtual machine's steps"


def test_a_name_that_is_a_path_and_a_prefix_is_ambiguous(recorder, ask):
    recorder.job("make", [], [_real(recorder, "abcd", "one")], uid="abcd" + "0" * 28)
    with pytest.raises(NotFoundError, match="more than one thing"):
        ask("abcd")
    assert isinstance(ask("./abcd"), ArtifactReference)
    assert isinstance(ask("abcd0"), JobReference)


@pytest.mark.parametrize("address", [URL, URL + "/", URL + "?workspace=user", URL + "/overview"])
def test_a_tracker_run_s_url(recorder, ask, address):
    run = TrackerRun(tracker="wandb", label="W&B", run_id="abc123", url=URL, state=TrackerRunState.ONLINE)
    recorder.job("other")
    recorder.job("train", tracker_runs=[run])
    recorder.job("resume", tracker_runs=[run])
    assert ask(address) == TrackerRunReference(URL, (2, 3))


def test_a_tracker_run_s_id(recorder, ask):
    run = TrackerRun(tracker="wandb", label="W&B", run_id="abc123xy", state=TrackerRunState.OFFLINE)
    recorder.job("train", tracker_runs=[run])
    recorder.job("other")
    assert ask("abc123xy") == TrackerRunReference(None, (1,))
    with pytest.raises(NotFoundError):
        ask("abc123x")
    with pytest.raises(NotFoundError, match="has the same id") as caught:
        ask("https://wandb.ai/team/proj/runs/abc123xy?workspace=user")
    assert caught.value.hint.startswith("roar show abc123xy")


def test_code_that_lies_there_is_not_said_to_be_a_misspelt_path(recorder, ask):
    _real(recorder, "train.py", "print()")
    with pytest.raises(NotFoundError, match="code is recorded with its commit") as caught:
        ask("train.py")
    assert caught.value.hint == "roar log train.py"


def test_a_url_that_only_starts_like_a_run_s_is_unknown(recorder, ask):
    run = TrackerRun(tracker="wandb", label="W&B", run_id="abc123", url=URL, state=TrackerRunState.ONLINE)
    recorder.job("train", tracker_runs=[run])
    with pytest.raises(NotFoundError, match="No recorded job wrote") as caught:
        ask(URL + "4")
    assert caught.value.candidates == (URL,)


def test_a_misspelt_path_gets_candidates(recorder, ask):
    recorder.job("make", [file("data/train.csv")], [])
    with pytest.raises(NotFoundError) as caught:
        ask("data/trian.csv")
    assert caught.value.candidates == ("data/train.csv",)
    with pytest.raises(NotFoundError) as caught:
        ask("train.csv")
    assert caught.value.candidates == ("data/train.csv",)


@pytest.mark.parametrize("name", ["nofile\udcff", "there\udcff"])
def test_a_name_that_is_not_utf_8_is_unknown_as_any_other(recorder, ask, name):
    recorder.job("python a.py")
    if name.startswith("there"):
        _real(recorder, name, "")
    with pytest.raises(NotFoundError):
        ask(name)


def test_a_folder_that_several_jobs_filled_is_not_one_of_its_datasets(recorder, ask):
    def fill(command, names):
        uses = {name: _real(recorder, f"d/{name}", name) for name in names}
        members = tuple(DatasetMember(path=name, digest=use.digest, size=use.size) for name, use in uses.items())
        recorder.job(command, [], [FileUse(path="d/", digest=digest(names), size=2, kind=Kind.DATASET, files=2)],
                     datasets=[Dataset(digest=digest(names), members=members)])

    fill("first", "ab")
    assert ask("d") == resolve_or_folder(recorder.database, recorder.workspace, "d")
    fill("second", "cd")
    assert resolve_or_folder(recorder.database, recorder.workspace, "d") == FolderReference("d/")
    assert isinstance(ask("d"), ArtifactReference), "where one artifact is wanted"
    for name in "ab":
        os.unlink(f"d/{name}")
    assert ask("d") == resolve_or_folder(recorder.database, recorder.workspace, "d")


def test_a_folder_of_a_dataset_is_that_folder_and_no_copy_of_an_equal_one(recorder, ask):
    for path in ("raw/", "out/s/"):
        _real(recorder, f"{path}a", "a")
    raw = Dataset(digest=digest("raw"), members=(DatasetMember(path="a", digest=_blake3("a"), size=1),))
    out = Dataset(digest=digest("out"), members=(DatasetMember(path="s/a", digest=_blake3("a"), size=1),))
    uses = [FileUse(path=path, digest=one.digest, size=1, kind=Kind.DATASET, files=1)
            for path, one in (("raw/", raw), ("out/", out))]
    recorder.job("copy", uses[:1], uses[1:], datasets=[raw, out])
    assert resolve_or_folder(recorder.database, recorder.workspace, "out/s") == FolderReference("out/s/")


def test_a_link_to_a_folder_is_that_folder(recorder, ask):
    recorder.job("read", [_real(recorder, "v1/a", "a")], symlinks={"cur": "v1"})
    os.symlink("v1", "cur")
    assert resolve_or_folder(recorder.database, recorder.workspace, "cur") == FolderReference("v1/")


def test_a_folder_of_which_nothing_is_recorded(recorder, ask):
    recorder.job("read", [_real(recorder, "v1/a", "a")])
    os.mkdir("empty")
    with pytest.raises(NotFoundError, match="an empty folder"):
        ask("empty")
    for above in ("..", "/"):
        with pytest.raises(NotFoundError, match="a folder above the workspace") as caught:
            ask(above)
        assert caught.value.hint == f"roar show {recorder.workspace.root}"
