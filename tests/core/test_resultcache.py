from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from studio.core.artifact import Artifact
from studio.core.leases import Leases
from studio.core.resultcache import ABANDONED, ResultCache
from tests.core.values import artifact, record

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys
from pathlib import Path
from studio.core.leases import Leases
leases = Leases(Path(sys.argv[1]))
leases.hold(sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def cache(tmp_path: Path) -> ResultCache:
    return ResultCache(tmp_path / "cache")


def fill(cache: ResultCache, folder: Path, number: int) -> list[Artifact]:
    """Put results of different age, the oldest first, all used long ago."""
    source, made = artifact(folder), []
    for index in range(number):
        stored = cache.steps.put(source.sha256, f"step {index}", "", record(source, artifact(folder, 1 + index)))
        made.append(stored.artifact)
        age(cache, stored.artifact, 10_000 - index)
    for index, path in enumerate(sorted(cache.steps.folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)):
        moment = time.time() - 10_000 + index
        os.utime(path, (moment, moment))
    return made


def age(cache: ResultCache, model: Artifact, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(model.path.parent, (moment, moment))


def kept(cache: ResultCache) -> set[str]:
    return set(cache.blobs.digests())


def test_the_results_used_longest_ago_go_first(cache: ResultCache, tmp_path: Path) -> None:
    made = fill(cache, tmp_path / "in", 4)
    room = made[2].bytes + made[3].bytes
    freed = cache.tidy(room)
    assert kept(cache) == {made[2].sha256, made[3].sha256}
    assert freed >= made[0].bytes + made[1].bytes
    assert cache.results == 2
    assert cache.tidy(room) == 0


def test_what_was_just_used_stays_whatever_the_limit(cache: ResultCache, tmp_path: Path) -> None:
    made = fill(cache, tmp_path / "in", 3)
    assert cache.steps.get(artifact(tmp_path / "in").sha256, "step 0") is not None
    cache.tidy(0)
    assert kept(cache) == {made[0].sha256}


def test_what_this_process_holds_survives_even_clearing(cache: ResultCache, tmp_path: Path) -> None:
    made = fill(cache, tmp_path / "in", 3)
    cache.leases.hold(made[0].sha256)
    cache.leases.hold(made[0].sha256)
    assert ResultCache(cache.root).clear() > 0
    assert kept(cache) == {made[0].sha256}
    cache.leases.release()
    cache.leases.release()
    cache.clear()
    assert kept(cache) == set()
    assert cache.bytes == cache.results == 0
    assert list(cache.leases.folder.iterdir()) == []


def test_another_process_holds_until_it_is_killed(cache: ResultCache, tmp_path: Path) -> None:
    made = fill(cache, tmp_path / "in", 2)
    command = [sys.executable, "-c", HOLDER, str(cache.leases.folder), made[1].sha256]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        cache.clear()
        assert kept(cache) == {made[1].sha256}
        holder.kill()
    cache.clear()
    assert kept(cache) == set()
    assert list(cache.leases.folder.iterdir()) == []


def test_leases_where_nothing_can_be_written_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    leases = Leases(tmp_path / "file" / "leases")
    leases.hold("a" * 64)
    assert leases.held() == frozenset()
    leases.release()


def test_what_a_crash_left_goes_when_nobody_can_want_it(cache: ResultCache, tmp_path: Path) -> None:
    orphan = cache.blobs.put(artifact(tmp_path / "in", 1))
    young = cache.blobs.put(artifact(tmp_path / "in", 2))
    age(cache, orphan, 10_000)
    for name in ("old", "new"):
        (cache.scratch / name).mkdir(parents=True)
    moment = time.time() - ABANDONED - 1
    os.utime(cache.scratch / "old", (moment, moment))
    cache.tidy(10**12)
    assert kept(cache) == {young.sha256}
    assert [path.name for path in cache.scratch.iterdir()] == ["new"]


def test_an_empty_cache(cache: ResultCache) -> None:
    assert cache.tidy(0) == cache.clear() == cache.bytes == cache.results == 0
    assert not cache.root.exists()
