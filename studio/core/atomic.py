"""Writing files so that a crash at any instant leaves either the old content or the new.

A file is written beside its target, flushed to the disk, put in the target's place in one step, and
then the folder is flushed, which makes the renaming itself durable on POSIX. Windows keeps no handle
on folders, so there the last step is left out.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from studio.core.errors import StoreError

#: Starts the name of every temporary file or folder, so that only our own are ever cleaned away.
TEMPORARY_PREFIX = ".burnish-tmp-"

#: Seconds to wait before replacing again: on Windows a virus scanner may hold the target for a moment.
_REPLACE_DELAYS = (0.02, 0.1, 0.5) if sys.platform == "win32" else ()

#: What some network and FUSE file systems answer to flushing a folder: they cannot, and need not.
_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES})

_EXPLAINED: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", "Free some space or choose another folder."),
    errno.EDQUOT: ("your disk quota is used up", "Free some space or choose another folder."),
    errno.EFBIG: ("the file is larger than is allowed here", "Raise the limit (ulimit -f) or choose another disk."),
    errno.EROFS: ("the disk is read-only", "Choose a folder on a disk that can be written."),
    errno.EACCES: ("permission is denied", "Change its permissions or choose another folder."),
    errno.EPERM: ("permission is denied", "Change its permissions or choose another folder."),
    errno.ENOENT: ("its folder does not exist", "Create the folder or choose another one."),
    errno.ENOTDIR: ("a part of its path is a file", "Choose another path."),
    errno.EISDIR: ("a folder of that name is there", "Choose another name."),
    errno.ENAMETOOLONG: ("its name is too long", "Choose a shorter name."),
}


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a whole file durably: afterwards it is there, or nothing has changed.

    Parameters
    ----------
    path
        The file; its folder must exist. An older one is replaced and its permissions are kept.
    data
        The content; text is written as UTF-8 with its line ends as they are.

    Raises
    ------
    StoreError
        When it cannot be written; the older file stays and nothing is left beside it.
    """
    payload = data.encode() if isinstance(data, str) else data
    with temporary_beside(path) as temporary:
        write_new(temporary, payload)
        replace_file(temporary, path)


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Give a path in the target's folder to write to; what is still there at the end is removed.

    Parameters
    ----------
    path
        The target, whose disk the temporary must share for the replacing to be one step.

    Yields
    ------
    Path
        A name that nothing has yet; a file or a folder may be made there.

    Raises
    ------
    StoreError
        For every `OSError` of the body.
    """
    temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    try:
        with explained(path):
            yield temporary
    finally:
        # The cause of the failure matters, not that its remains could not be removed as well.
        with suppress(OSError):
            remove(temporary)


def replace_file(temporary: Path, path: Path) -> None:
    """Put a flushed file in the target's place in one step, and flush the folder.

    Raises
    ------
    StoreError
        When it cannot be replaced; the older file stays.
    """
    with explained(path):
        _replace(temporary, path)
        sync_folder(path.parent)


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet, and flush it to the disk.

    Raises
    ------
    OSError
        When it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        write_all(descriptor, data)
        sync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte to an open file: one call of the system may take only a part."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync(descriptor: int) -> None:
    """Flush an open file to the disk, through the drive's own cache where the system separates the two."""
    if sys.platform == "darwin":
        import fcntl

        # On macOS fsync stops at the drive's cache; some file systems know no more than that.
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_file(path: Path) -> None:
    """Flush a closed file to the disk.

    Raises
    ------
    OSError
        When it cannot be opened or flushed.
    """
    # Windows flushes only handles that may write.
    descriptor = os.open(path, (os.O_RDWR if sys.platform == "win32" else os.O_RDONLY) | getattr(os, "O_BINARY", 0))
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; does nothing where folders cannot be flushed.

    Raises
    ------
    OSError
        When the disk fails.
    """
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def clean_temporaries(folder: Path, older_than: float = 0.0) -> int:
    """Remove the temporaries that a crash left in a folder (not in its sub-folders).

    Parameters
    ----------
    folder
        Need not exist.
    older_than
        Age in seconds that a temporary must have, where other processes may be writing just now.

    Returns
    -------
    int
        How many were removed; what cannot be removed stays without an error.
    """
    removed = 0
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            if not path.name.startswith(TEMPORARY_PREFIX):
                continue
            with suppress(OSError):
                if time.time() - path.lstat().st_mtime >= older_than:
                    remove(path)
                    removed += 1
    return removed


def require_space(folder: Path, needed: int) -> None:
    """Refuse to start a write that the disk cannot hold.

    Parameters
    ----------
    folder
        Where to write; need not exist yet.
    needed
        Bytes.

    Raises
    ------
    StoreError
        When fewer bytes are free.
    """
    there = next((parent for parent in (folder, *folder.parents) if parent.is_dir()), None)
    if there is None:
        return
    free = shutil.disk_usage(there).free
    if free < needed:
        raise StoreError(
            f"{folder} has {free / 1e6:,.1f} MB free; {needed / 1e6:,.1f} MB are needed.",
            "Free some space or choose another folder.",
        )


def remove(path: Path) -> None:
    """Remove a file or a whole folder, read-only files included; nothing there is no error.

    Raises
    ------
    OSError
        When it cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        for file in path.rglob("*"):
            _make_removable(file)
        shutil.rmtree(path)
    else:
        _make_removable(path)
        path.unlink(missing_ok=True)


@contextmanager
def explained(path: Path, action: str = "written") -> Iterator[None]:
    """Turn an `OSError` of the body into a `StoreError` that says what is wrong with `path` and what to do."""
    try:
        yield
    except OSError as error:
        reason, hint = explain(error)
        raise StoreError(f"{path} cannot be {action}: {reason}.", hint) from error


def explain(error: OSError) -> tuple[str, str]:
    """Say what an `OSError` means, as a clause, and what to do, as a sentence."""
    if error.errno is None and "requested and" in str(error):  # how numpy says that fewer bytes were written
        return "there is no room for it", "Free some space or choose another folder."
    reason = error.strerror or str(error) or type(error).__name__
    return _EXPLAINED.get(error.errno or 0, (reason, "Choose another folder."))


def _replace(temporary: Path, path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with suppress(FileNotFoundError):
        temporary.chmod(stat.S_IMODE(path.stat().st_mode))
    for delay in _REPLACE_DELAYS:
        try:
            os.replace(temporary, path)  # noqa: PTH105
        except PermissionError:
            time.sleep(delay)
        else:
            return
    os.replace(temporary, path)  # noqa: PTH105


def _make_removable(path: Path) -> None:
    """Windows does not remove read-only files; POSIX asks the folder, so there nothing is touched."""
    if sys.platform == "win32" and path.is_file():
        path.chmod(stat.S_IWRITE)
