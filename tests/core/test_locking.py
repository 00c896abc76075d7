from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from studio.core.locking import FileLock

ROOT = Path(__file__).parents[2]
HOLDER = """
import subprocess
import sys
from pathlib import Path
from studio.core.locking import FileLock
lock = FileLock(Path(sys.argv[1]))
held = lock.acquire()
if sys.argv[2]:
    # It says that it runs, then waits for the end of the standard input that it shares.
    code = "import sys; print('on', flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, close_fds=False)
    child.stdout.readline()
print(held, flush=True)
sys.stdin.read()
"""


def test_only_one_holds_it(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    assert (first.held, second.held) == (True, False)
    first.release()
    first.release()
    assert second.acquire()
    second.release()


def test_leaving_the_block_releases_it(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock") as lock:
        assert lock.acquire()
    with FileLock(tmp_path / "lock") as other:
        assert other.acquire()


@pytest.mark.parametrize("with_child", [False, True])
def test_a_killed_process_releases_it_though_a_program_it_started_lives(tmp_path: Path, with_child: bool) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), "child" if with_child else ""],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        with FileLock(path) as lock:
            assert not lock.acquire()
        holder.kill()
        holder.wait()
        with FileLock(path) as lock:
            assert lock.acquire()


def test_a_shared_descriptor_does_not_keep_it(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire()
    assert lock._descriptor is not None
    shared = os.dup(lock._descriptor)
    lock.release()
    with FileLock(tmp_path / "lock") as other:
        assert other.acquire()
    os.close(shared)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        FileLock(tmp_path / "none" / "lock").acquire()
