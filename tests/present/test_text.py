"""Text that is safe to print and easy to read."""

import itertools
import os
import shlex
import subprocess

import pytest

from roar.present.text import (
    columns_of,
    command_text,
    count_text,
    cut,
    cut_inside,
    duration_text,
    printable,
    short_command,
    table,
)
from roar.shell import iter_words
from roar.wire import size_text


@pytest.mark.parametrize(("text", "shown"), [
    ("plain", "plain"), ("a\nb\tc", "a\\nb\\tc"), ("\x1b[31m", "\\x1b[31m"), ("\udcff", "\\xff"),
    ("ünïcode", "ünïcode"), ("\u202eevil", "\\u202eevil"), ("\x9b", "\\x9b"), ("\x00", "\\x00"),
    ("\\xff", "\\\\xff"), ("a\\b", "a\\b"), ("a\\b\n", "a\\\\b\\n"), ("\\n", "\\\\n"), ("\\\\", "\\\\\\\\")])
def test_nothing_acts_on_the_terminal(text, shown):
    assert printable(text) == shown


def test_no_two_names_look_alike():
    names = ["".join(parts) for parts in itertools.product(["", "\\", "n", "xff", "\n", "\udcff"], repeat=4)]
    assert len({printable(name) for name in set(names)}) == len(set(names))


@pytest.mark.parametrize("command", [
    ["python", "train.py"], ["echo", "it's"], ["sh", "-c", "echo $HOME; echo 'x'"], ["a b", "", "*", 'say "hi"'],
    ["it's", "`x`", 'a"b\'c', "back\\slash'"]])
def test_a_shell_reads_a_command_back(command):
    assert shlex.split(command_text(command)) == command


def test_lists_show_commands_in_short():
    assert short_command(["/usr/bin/python3", "a.py"]) == "python3 a.py"
    assert short_command(["python", "-c", "\nimport os\nprint()"]) == "python -c 'import os…'"
    assert len(short_command(["sh", "-c", "x" * 5000])) < 80
    assert len({short_command(["p", word]) for word in ("", "\n", " ")}) == 3


def test_cutting_counts_columns_and_keeps_colours():
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"
    assert cut("日本語", 4) == "日…"
    assert cut("\x1b[31mabcdef\x1b[0m", 4) == "\x1b[31mabc\x1b[0m…"
    assert columns_of("\x1b[31mabc\x1b[0m") == 3


def test_cutting_inside_keeps_both_ends():
    assert cut_inside("train.py --epochs 10 --lr 0.1", 19) == "train.py --…-lr 0.1"
    assert cut_inside("abcd", 4) == "abcd"
    assert [cut_inside("日本語日本語", columns) for columns in (1, 2, 7)] == ["…", "…", "日本…語"]


def test_tables_align():
    assert table([("a", "1", "x"), ("bbb", "22", "y")], right=(1,)) == ["a     1  x", "bbb  22  y"]
    assert table([("日", "x"), ("abc", "y")]) == ["日   x", "abc  y"]


def test_numbers_for_people():
    assert [size_text(size) for size in (None, 0, 1023, 1024, 1024**2 - 1, 5 * 1024**3)] == [
        "size unknown", "0 B", "1023 B", "1.0 KiB", "1.0 MiB", "5.0 GiB"]
    assert [duration_text(value) for value in (None, 0.126, 12.34, 61, 7322)] == [
        "?", "0.13 s", "12.3 s", "1 min 01 s", "2 h 02 min"]
    assert [count_text(number, "file") for number in (0, 1, 12000)] == ["0 files", "1 file", "12,000 files"]


@pytest.mark.parametrize("command", [
    ["a\nb", "\x1b[31m", os.fsdecode(b"\xff7"), "tab\there", "it's\n", "back\\\n", "\x7f0"],
    ["plain", "a b", "", "é", "日本", "$x `y` 'z'", "~", "\u202eevil", "\xa0"]])
def test_what_cannot_be_printed_is_still_read_back_by_a_shell(command):
    text = command_text(command)
    assert text.isprintable()
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {text}"], capture_output=True, check=True)
    assert done.stdout.split(b"\0")[:-1] == [os.fsencode(word) for word in command]
    assert [word.text for word in iter_words(text)] == command


TAKEN = "it's"


def test_the_words_of_a_command_are_found_where_they_stand():
    text = f"wandb  sync {shlex.quote(TAKEN)} --x=$'\\377' \"a \\$b\" c\\ d"
    words = list(iter_words(text))
    assert [word.text for word in words] == ["wandb", "sync", "it's", "--x=\udcff", "a $b", "c d"]
    assert [text[word.start:word.end] for word in words][-2:] == ['"a \\$b"', "c\\ d"]
    assert [word.text for word in iter_words("a 'never closed")] == ["a", "never", "closed"]
