"""A server of before the common table takes what is sent to it the second time."""

import sys
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from roar.model import FileUse, Job, JobState, Tracer
from roar.publish.older_servers import for_older_servers, is_refused_before
from roar.wire import Registration, iter_secrets, without_secrets

sys.path.insert(0, str(Path(__file__).parents[1] / "credentials"))
from credential_examples import EXAMPLES

HARMLESS = [word for example in EXAMPLES if not example.secrets for word in example.words]
TEXTS = st.lists(st.sampled_from([*HARMLESS, " ", "/", "secret=", "a1b2c3d4e5f6", "?token=", "://a:b", "@"]),
                 min_size=1, max_size=4).map("".join)


def texts_of(value):
    """Every text as such a server looks at it."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from [f"{name}={one}"] if isinstance(one, str) else texts_of(one)
    elif isinstance(value, list) and all(isinstance(one, str) for one in value):
        yield " ".join(value)
    elif isinstance(value, list):
        for one in value:
            yield from texts_of(one)


@settings(max_examples=300, deadline=None, database=None)
@example(words=["x"], paths=["GOOGLE_APPLICATION_CREDENTIALS=/home/ann/key.json/secret=group_a_2024/part-0.csv--x"])
@example(words=["token=chardata/secret=group_a_2024/part-0.parquet"], paths=["train"])
@given(words=st.lists(TEXTS, min_size=1, max_size=5), paths=st.lists(TEXTS, min_size=1, max_size=4, unique=True))
def test_nothing_is_left_that_it_refuses(words, paths):
    job = Job(uid="0" * 32, step=1, command=tuple(words), cwd=".", started_at="2026-11-22T10:00:00.000000Z",
              duration_s=1, exit_code=0, state=JobState.DONE, tracer=Tracer(mode="full"), labels={"note": words[0]},
              inputs=tuple(FileUse(path=path, digest="0" * 64, size=1) for path in paths))
    sent = without_secrets(Registration(version=1, client="roar", session="1" * 32, jobs=(job,)), lambda: b"k" * 32)
    shape = for_older_servers(sent, lambda: b"k" * 32)
    assert not any(map(is_refused_before, texts_of(shape)))
    assert list(iter_secrets(shape)) == []


def test_the_harmless_examples_are_why():
    assert {word for word in HARMLESS if is_refused_before(word)} >= {
        "hf_BertForSequenceClassificationLargeUncased2024", "xoxp-data-20240101", "s3://bucket:name@version"}
