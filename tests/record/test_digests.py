"""The digest cache."""

from recording import digest

from roar.record.digests import find, remember

OLD = 1_800_000_000_000_000_000


def test_what_is_remembered_is_found_by_its_whole_signature(recorder):
    key = (5, 77, 100, OLD, OLD)
    remember(recorder.database, [(key, digest("a"))])
    assert find(recorder.database, [key]) == {key: digest("a")}
    for place in range(5):
        other = tuple(value + (index == place) for index, value in enumerate(key))
        assert find(recorder.database, [other]) == {}


def test_numbers_of_64_bits(recorder):
    key = (2**64 - 1, 2**63 + 5, 0, OLD, OLD)
    remember(recorder.database, [(key, digest("a"))])
    assert find(recorder.database, [key]) == {key: digest("a")}


def test_many_at_once(recorder):
    keys = [(1, number, number, OLD, OLD) for number in range(20_000)]
    remember(recorder.database, [(key, digest(str(key[1]))) for key in keys])
    found = find(recorder.database, [*keys, (1, 5, 6, OLD, OLD)])
    assert len(found) == 20_000
    assert found[keys[777]] == digest("777")
