"""A folder that is read-only to one command and all that it starts, and as it was to everybody else.

In a mount namespace of its own, which an ordinary user gets with a user namespace (mount_namespaces(7),
user_namespaces(7), mount_setattr(2)): where the kernel or a container does not give one, there is no protection. Users
and groups keep their names and numbers there, but for groups besides the first one, which only keep their rights.
"""

import ctypes
import os
from collections.abc import Callable

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 0x40000
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 1
_MOUNT_SETATTR = 442  # the number of the system call, on every processor


class _MountAttributes(ctypes.Structure):
    _fields_ = [("set", ctypes.c_uint64), ("clear", ctypes.c_uint64), ("propagation", ctypes.c_uint64),
                ("user_namespace", ctypes.c_uint64)]


def protect(folder: str, *, but: str, cwd: str) -> Callable[[], None]:
    """What a new process has to do before it starts its command (`preexec_fn`).

    Args:
        folder: becomes read-only, with what is mounted in it.
        but: a folder that stays as it is, perhaps in the other one.
        cwd: the working folder; one that was entered before is still the folder without protection.

    The function raises OSError where there is no protection here.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def check(result: int) -> None:
        if result:
            raise OSError(ctypes.get_errno(), "no protection")

    def bind(path: str) -> None:
        check(libc.mount(os.fsencode(path), os.fsencode(path), None, _MS_BIND | _MS_REC, None))

    def set_attributes(path: str, attributes: _MountAttributes) -> None:
        check(libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(path), _AT_RECURSIVE, ctypes.byref(attributes),
                           ctypes.sizeof(attributes)))

    def start() -> None:
        user, group = os.geteuid(), os.getegid()
        if libc.unshare(_CLONE_NEWNS):
            check(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS))
            maps = ("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")
            for name, text in maps:
                with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                    file.write(text)
        check(libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None))
        bind(folder)
        set_attributes(folder, _MountAttributes(set=_MOUNT_ATTR_RDONLY))
        if but.startswith(f"{folder}/"):
            bind(but)
            set_attributes(but, _MountAttributes(clear=_MOUNT_ATTR_RDONLY))
        os.chdir(cwd)

    return start


def can_protect(folder: str) -> bool:
    """Whether there is protection for a folder here: a process tries it."""
    start = protect(folder, but=folder, cwd="/")
    child = os.fork()
    if child == 0:
        try:
            start()
            is_read_only = bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
        except BaseException:  # noqa: BLE001  nothing of this process may go on
            os._exit(1)
        os._exit(0 if is_read_only else 1)
    return os.waitpid(child, 0)[1] == 0
