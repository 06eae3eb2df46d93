"""Facts about the machine, read from files; no program is started."""

import os

from roar.model import Host


def read_host() -> Host:
    """The operating system, processor, memory and accelerators of this machine."""
    return Host(os=_system(), machine=os.uname().machine, cpu=_cpu(), cpus=usable_cpus(), memory=_memory(),
                gpus=_gpus())


def _system() -> str:
    """The distribution's own name (os-release(5)) and the kernel's release."""
    uname = os.uname()
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        for line in _lines(path):
            if line.startswith("PRETTY_NAME="):
                return f"{line.partition('=')[2].strip().strip(chr(34))} ({uname.sysname} {uname.release})"
    return f"{uname.sysname} {uname.release}"


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(65536).splitlines()
    except OSError:
        return []


def _cpu() -> str | None:
    for line in _lines("/proc/cpuinfo"):
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model", "Hardware", "cpu model"}:
            return value.strip() or None
    return None


def usable_cpus() -> int:
    """How many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> int | None:
    """Bytes of memory: the control group's limit where that is lower than the machine's (cgroup v2 and v1)."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        sizes += [int(line) for line in _lines(path)[:1] if line.strip().isdigit()]
    return min(size for size in sizes if size > 0)


def _gpus() -> tuple[str, ...]:
    """NVIDIA's driver tells its models under /proc; AMD's and Intel's under /sys/class/drm with a numeric id only."""
    found = []
    base = "/proc/driver/nvidia/gpus"
    try:
        cards = sorted(os.listdir(base))
    except OSError:
        cards = []
    for card in cards:
        for line in _lines(f"{base}/{card}/information"):
            if line.startswith("Model:"):
                found.append(line.partition(":")[2].strip())  # noqa: PERF401  two loops read better than one line
    return tuple(found)
