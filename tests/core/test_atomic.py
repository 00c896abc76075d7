from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.core import atomic
from studio.core.atomic import (
    TEMPORARY_PREFIX,
    clean_temporaries,
    remove,
    replace_file,
    require_space,
    temporary_beside,
    write_atomic,
)
from studio.core.errors import StoreError
from tests.core.values import tree


def test_writes_bytes_and_text(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"\x00\r\n")
    write_atomic(tmp_path / "b", "é\n")
    assert tree(tmp_path) == {"a": b"\x00\r\n", "b": b"\xc3\xa9\n"}


def test_replaces_and_keeps_the_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(0o640)
    write_atomic(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_partial_write_of_the_system_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    write_atomic(tmp_path / "a", "0123456789")
    assert (tmp_path / "a").read_text() == "0123456789"


@pytest.mark.skipif(sys.platform == "win32", reason="folders are flushed on POSIX only")
def test_content_is_flushed_before_the_name_and_the_name_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, str]] = []
    real_fsync, real_replace, real_write = os.fsync, os.replace, os.write

    def kind(descriptor: int) -> str:
        return "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"

    def fsync(descriptor: int) -> None:
        calls.append(("fsync", kind(descriptor)))
        real_fsync(descriptor)

    def replace(source: Path, target: Path) -> None:
        calls.append(("replace", Path(target).name))
        real_replace(source, target)

    def write(descriptor: int, data: bytes) -> int:
        calls.append(("write", kind(descriptor)))
        return real_write(descriptor, data)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(os, "write", write)
    write_atomic(tmp_path / "a", "text")
    assert calls == [("write", "file"), ("fsync", "file"), ("replace", "a"), ("fsync", "folder")]


@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EFBIG, "the file is larger than is allowed here"),
        (errno.EROFS, "the disk is read-only"),
        (errno.EACCES, "permission is denied"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_a_failure_leaves_the_older_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int, reason: str
) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def fail(*_args: Any, **_named: Any) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(StoreError) as caught:
            write_atomic(path, "new")
    assert caught.value.message == f"{path} cannot be written: {reason}."
    assert caught.value.hint
    assert tree(tmp_path) == {"a": b"old"}


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(StoreError, match="a folder of that name is there"):
        write_atomic(tmp_path / "a", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="its folder does not exist"):
        write_atomic(tmp_path / "none" / "a", "new")


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(StoreError, match=r"a part of its path is a file|its folder does not exist"):
        write_atomic(tmp_path / "file" / "a", "new")


def test_a_long_name_that_the_system_takes(tmp_path: Path) -> None:
    write_atomic(tmp_path / ("n" * 255), "text")
    with pytest.raises(StoreError, match="name is too long"):
        write_atomic(tmp_path / ("n" * 256), "text")


def test_an_exception_of_the_body_is_passed_on_and_the_temporary_goes(tmp_path: Path) -> None:
    with pytest.raises(KeyError), temporary_beside(tmp_path / "a") as temporary:
        temporary.mkdir()
        (temporary / "part").write_text("half")
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_replacing_waits_for_a_scanner_that_holds_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, failures = os.replace, iter([True, True, False])

    def busy(source: Path, target: Path) -> None:
        if next(failures):
            raise PermissionError(errno.EACCES, "held")
        real(source, target)

    monkeypatch.setattr(os, "replace", busy)
    monkeypatch.setattr(atomic, "_REPLACE_DELAYS", (0.0, 0.0))
    (tmp_path / "new").write_text("new")
    replace_file(tmp_path / "new", tmp_path / "a")
    assert (tmp_path / "a").read_text() == "new"


def test_cleaning_takes_our_own_and_old_enough_only(tmp_path: Path) -> None:
    old, young = tmp_path / f"{TEMPORARY_PREFIX}1", tmp_path / f"{TEMPORARY_PREFIX}2"
    old.mkdir()
    (old / "read-only").write_text("x")
    (old / "read-only").chmod(0o444)
    os.utime(old, (time.time() - 100, time.time() - 100))
    young.write_text("x")
    (tmp_path / ".tmp-other").write_text("x")
    assert clean_temporaries(tmp_path, older_than=50) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [young.name, ".tmp-other"]
    assert clean_temporaries(tmp_path) == 1
    assert clean_temporaries(tmp_path / "none") == 0


def test_removing_does_not_follow_links(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    link = tmp_path / "link"
    link.symlink_to(kept, target_is_directory=True)
    remove(link)
    remove(tmp_path / "none")
    assert not link.exists()
    assert (kept / "file").exists()


def test_space_is_asked_for_before(tmp_path: Path) -> None:
    require_space(tmp_path / "not" / "yet", 1)
    with pytest.raises(StoreError, match=r"MB free; 1,000,000,000,000\.0 MB are needed"):
        require_space(tmp_path / "not" / "yet", 10**18)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("no disk can be mounted here; the injected failures above cover the same code")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    path = small_disk / "a"
    write_atomic(path, b"old")
    with pytest.raises(StoreError, match="the disk is full"):
        write_atomic(path, b"x" * 200_000)
    assert tree(small_disk) == {"a": b"old"}
    write_atomic(path, b"y" * 10_000)
    assert path.read_bytes() == b"y" * 10_000
