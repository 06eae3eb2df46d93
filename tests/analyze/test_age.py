"""Since when files lay there: what their times tell depends on the file system."""

import pytest

from roar.analyze.age import Ages, FileSystems
from roar.observe.folders import fold_files
from roar.observe.trace import Signature

MOUNTS = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 27 0:40 / /data rw - nfs4 server:/data rw
31 27 0:41 / /usb rw - vfat /dev/sdb1 rw
32 27 0:42 / /with\040space rw - fuse.sshfs a:/ rw
33 30 0:43 / /data/fast rw - xfs /dev/vdb rw
34 27 0:44 / /home/one.csv rw - 9p host rw
"""
DAY = "2026-11-23T10:00:00"
SECOND = 1_000_000_000
TEN = 1_795_341_600 * SECOND  # 2026-11-22T10:00:00Z


def since(path, *ctimes):
    files = fold_files((str(number), Signature(1, number, 1, 0, ctime, 0o100644))
                       for number, ctime in enumerate(ctimes))
    return Ages("/home", lambda: FileSystems(MOUNTS)).of_folders(path, files)


def test_our_own_clock_is_a_few_ticks_behind_at_most():
    assert since("d/", TEN + 5000) == "2026-11-22T10:00:00.100005Z"


def test_the_latest_of_all_files_counts():
    assert since("d/", TEN + 5000, TEN + 7000, TEN + 1000) == "2026-11-22T10:00:00.100007Z"


def test_a_file_system_that_keeps_whole_seconds_may_be_two_behind():
    assert since("d/", TEN) == "2026-11-22T10:00:02.100000Z"


def test_a_server_s_clock_may_be_a_day_behind():
    assert since("/data/d/", TEN + 1000) == f"{DAY}.000001Z"


@pytest.mark.parametrize("path", ["/usb/d/", "/with space/d/", "/proc/", "/"])
def test_where_times_can_be_set_or_are_made_up_they_tell_nothing(path):
    assert since(path, TEN + 1000) is None


def test_what_is_mounted_below_counts_too():
    assert since("/data/", TEN + 1000) == f"{DAY}.000001Z"
    assert since("/data/fast/", TEN + 1000) == "2026-11-22T10:00:00.100001Z"


@pytest.mark.parametrize(("folder", "name", "margin"), [
    ("/home", "one.csv", None), ("/home", "two.csv", SECOND // 10), ("/data", "x", 24 * 3600 * SECOND)])
def test_a_file_may_be_mounted_by_itself(folder, name, margin):
    assert FileSystems(MOUNTS).margin_ns(folder, name) == margin


@pytest.mark.parametrize("ctimes", [(), (0,), (-5, TEN)])
def test_times_that_do_not_count_from_1970_to_2262_tell_nothing(ctimes):
    assert since("d/", *ctimes) is None


def test_without_a_list_of_mounts_nothing_is_known():
    assert FileSystems("").margin_ns("/home", "x") is None
