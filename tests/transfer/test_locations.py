import pytest
from hypothesis import given
from hypothesis import strategies as st

from roar.errors import UsageError
from roar.transfer.locations import file_name, object_name, parse_location


@given(st.lists(st.characters(exclude_characters="\0", exclude_categories=("Cs",)) | st.sampled_from(
    ["%", "%0A", "%25", "%250A", "\n", "\x7f", "%7F"]), max_size=30))
def test_every_name_comes_back(letters):
    name = "".join(letters)
    there = object_name(name)
    assert file_name(there) == name
    assert not any(ord(letter) < 32 or ord(letter) == 127 for letter in there)


@pytest.mark.parametrize("name", ["100%", "a%20b", "dt=2026-01-01 00%3A00", "ü", "a#b?c"])
def test_ordinary_names_stay(name):
    assert object_name(name) == file_name(name) == name


@pytest.mark.parametrize(("text", "url", "name"), [
    ("s3://bucket/a b/c.pt", "s3://bucket/a b/c.pt", "c.pt"),
    ("S3://bucket", "s3://bucket", "bucket"),
    ("gcs://bucket/x/", "gs://bucket/x/", "x"),
    ("az://box/a%0Ab", "az://box/a%0Ab", "a\nb"),
    ("s3://bucket/a\nb", "s3://bucket/a%0Ab", "a\nb"),
    ("file:///a%20b/c", "file:///a%20b/c", "c"),
    ("file:///a/../b/./c/", "file:///b/c/", "c"),
    ("file://localhost/x", "file:///x", "x"),
    ("https://bob:pw@host:8443/d/x%20y.csv?id=5#frag", "https://host:8443/d/x%20y.csv?id=5", "x y.csv"),
    ("https://h/x?X-Amz-Signature=abc&X-Amz-Date=1", "https://h/x", "x"),
    ("https://h/x?sv=2024-01-01&sr=b&sig=abc", "https://h/x", "x"),
    ("https://h/x?id=5&token=s3cr3t", "https://h/x", "x"),
    ("https://h/x?k=a8f5f167f44f4964e6c998dee827110c", "https://h/x", "x"),
    ("https://h/x?download=1", "https://h/x?download=1", "x"),
])
def test_urls_are_shown_without_secrets(text, url, name):
    location = parse_location(text)
    assert (location.url, location.name) == (url, name)
    assert "pw" not in repr(location)
    assert parse_location(location.url).url == url


def test_the_address_of_a_signed_url_is_the_whole_of_it():
    assert parse_location("https://h/x?X-Amz-Signature=abc#f").address == "https://h/x?X-Amz-Signature=abc"


@pytest.mark.parametrize("text", ["model.pt", "s3:/bucket/x", "s3://", "s3://bucket/../x", "s3://bucket/a//b",
                                  "ftp://h/x", "https://", "https://h/a b", "https://h:port/x", "file://x",
                                  "s3://bucket/\udcff", "file:///a%00b"])
def test_what_is_no_location(text):
    with pytest.raises(UsageError):
        parse_location(text)
