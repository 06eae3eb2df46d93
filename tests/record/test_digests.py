"""The digest cache."""

import pytest
from recording import digest

from roar.record.digests import CLOCK_GRANULARITY_NS, Digested, find, remember

NOW = 1_800_000_000_000_000_000
OLD = NOW - 10 * CLOCK_GRANULARITY_NS


def test_what_is_remembered_is_found_by_its_whole_signature(recorder):
    key = (5, 77, 100, OLD, OLD)
    assert remember(recorder.database, [Digested(key, digest("a"), NOW)]) == 1
    assert find(recorder.database, [key]) == {key: digest("a")}
    for place in range(5):
        other = tuple(value + (index == place) for index, value in enumerate(key))
        assert find(recorder.database, [other]) == {}


@pytest.mark.parametrize("times", [(NOW, OLD), (OLD, NOW), (NOW - CLOCK_GRANULARITY_NS + 1, OLD)])
def test_a_file_changed_just_before_it_was_read_is_not_remembered(recorder, times):
    key = (5, 77, 100, *times)
    assert remember(recorder.database, [Digested(key, digest("a"), NOW)]) == 0
    assert find(recorder.database, [key]) == {}


def test_numbers_of_64_bits(recorder):
    key = (2**64 - 1, 2**63 + 5, 0, OLD, OLD)
    remember(recorder.database, [Digested(key, digest("a"), NOW)])
    assert find(recorder.database, [key]) == {key: digest("a")}


def test_many_at_once(recorder):
    keys = [(1, number, number, OLD, OLD) for number in range(20_000)]
    remember(recorder.database, [Digested(key, digest(str(key[1])), NOW) for key in keys])
    found = find(recorder.database, [*keys, (1, 5, 6, OLD, OLD)])
    assert len(found) == 20_000
    assert found[keys[777]] == digest("777")
