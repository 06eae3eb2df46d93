"""The key with which paths that hold secrets are told apart when they are published. It never leaves this machine."""

import contextlib
import os

from roar.workspace import Workspace

KEY_LENGTH = 32  # bytes


def load_path_key(workspace: Workspace) -> bytes:
    """The workspace's key, made where it is missing; one for this time alone where nothing can be written or read.

    Paths keep apart with that one too, but a job that is published again then seems to have other paths.
    """
    path = os.path.join(workspace.folder, "path.key")
    try:
        if not os.path.exists(path):
            _make(path)
        with open(path, "rb") as file:
            key = file.read(KEY_LENGTH)
    except OSError:
        key = b""
    return key if len(key) == KEY_LENGTH else os.urandom(KEY_LENGTH)


def _make(path: str) -> None:
    """Whole or not at all, and once: of two commands at a time the first one's key stays."""
    made = f"{path}.{os.getpid()}"
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(os.urandom(KEY_LENGTH))
        with contextlib.suppress(FileExistsError):
            os.link(made, path)
    finally:
        os.unlink(made)
