"""Who runs when: bounded, first come first served, measurements alone; and closing."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from studio.core.errors import Cancelled, JobError
from studio.jobs.job import Job
from studio.jobs.pool import JobPool, default_workers
from studio.jobs.protocol import Started
from tests.jobs.conftest import MakePool
from tests.jobs.family import assert_ended
from tests.jobs.recorder import PATIENCE, Recorder

TASKS = "tests.jobs.misbehaving"


def overlaps(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["begin"] < other["end"] and other["begin"] < one["end"])


def spans(jobs: list[Job]) -> list[dict[str, Any]]:
    return [job.result(PATIENCE) for job in jobs]


def test_jobs_share_a_bounded_pool(make_pool: MakePool) -> None:
    pool = make_pool(2)
    results = spans([pool.submit(f"{TASKS}:span", {}) for _ in range(8)])
    moments = [result["begin"] for result in results]
    assert max(sum(other["begin"] <= now < other["end"] for other in results) for now in moments) <= 2
    assert len({result["pid"] for result in results}) <= 2


def test_two_jobs_run_at_once(make_pool: MakePool, tmp_path: Path) -> None:
    pool = make_pool(2)
    recorders = [Recorder(), Recorder()]
    jobs = [
        pool.submit(f"{TASKS}:wait_for_file", {"file": str(tmp_path / "go")}, on_event=recorder)
        for recorder in recorders
    ]
    for recorder in recorders:
        recorder.wait_for_log()
    (tmp_path / "go").touch()
    assert overlaps(*spans(jobs))


@pytest.mark.parametrize("spare", [False, True])
def test_a_measurement_runs_alone_and_is_not_overtaken(make_pool: MakePool, tmp_path: Path, spare: bool) -> None:
    pool = make_pool(2, spare=spare)
    recorder = Recorder()
    first = pool.submit(f"{TASKS}:wait_for_file", {"file": str(tmp_path / "go")}, on_event=recorder)
    recorder.wait_for_log()
    alone = [pool.submit(f"{TASKS}:span", {}, exclusive=True) for _ in range(2)]
    after = [pool.submit(f"{TASKS}:span", {}) for _ in range(4)]
    assert {job.state for job in [*alone, *after]} == {"queued"}
    (tmp_path / "go").touch()
    results = spans([first, *alone, *after])
    for index in (1, 2):
        assert not any(overlaps(results[index], other) for other in results if other is not results[index])
    assert max(result["end"] for result in results[:1]) <= results[1]["begin"]
    assert results[1]["end"] <= results[2]["begin"]
    assert results[2]["end"] <= min(result["begin"] for result in results[3:])


def test_no_worker_is_started_beside_a_measurement(make_pool: MakePool, tmp_path: Path) -> None:
    others = set(psutil.Process().children())
    pool = make_pool(2, spare=True)
    recorder = Recorder()
    alone = pool.submit(f"{TASKS}:wait_for_file", {"file": str(tmp_path / "go")}, exclusive=True, on_event=recorder)
    recorder.wait_for_log()
    assert len(set(psutil.Process().children()) - others) == 1
    (tmp_path / "go").touch()
    alone.result(PATIENCE)


def test_a_spare_is_ready_before_it_is_asked_for(make_pool: MakePool) -> None:
    pool = make_pool(1, spare=True)
    recorder = Recorder()
    job = pool.submit(f"{TASKS}:hang", {}, on_event=recorder)
    recorder.wait_for_log()
    job.cancel()
    before = {child.pid for child in psutil.Process().children()}
    pid = pool.submit(f"{TASKS}:identity", {}).result(PATIENCE)["pid"]
    assert pid in before
    assert pid != recorder.of(Started)[0].pid


def test_a_worker_that_died_idle_costs_no_job(pool: JobPool) -> None:
    pid = pool.submit(f"{TASKS}:identity", {}).result(PATIENCE)["pid"]
    psutil.Process(pid).kill()
    assert pool.submit(f"{TASKS}:identity", {}).result(PATIENCE)["pid"] != pid


def test_a_worker_that_cannot_start_fails_the_job_that_waits_for_it(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool()
    with monkeypatch.context() as broken:
        broken.setattr("studio.jobs.launch.worker_command", lambda: ["/no/such/python"])
        with pytest.raises(JobError, match=r"could not start \(No such file or directory\)"):
            pool.submit(f"{TASKS}:echo", {}).result(PATIENCE)
    with monkeypatch.context() as broken:
        command = [sys.executable, "-c", "import sys; sys.exit('no module named studio')"]
        broken.setattr("studio.jobs.launch.worker_command", lambda: command)
        for exclusive in (False, True):
            job = pool.submit(f"{TASKS}:echo", {}, exclusive=exclusive)
            with pytest.raises(JobError, match=r"could not start \(exit status 1\)") as caught:
                job.result(PATIENCE)
            assert caught.value.__notes__ == ["no module named studio"]
    assert pool.submit(f"{TASKS}:echo", {"a": 1}).result(PATIENCE) == {"a": 1}


def test_closing_cancels_everything_and_leaves_no_process(make_pool: MakePool) -> None:
    others = set(psutil.Process().children(recursive=True))
    pool = make_pool(2, spare=True)
    recorder = Recorder()
    jobs = [
        pool.submit(f"{TASKS}:with_grandchild", {"then": "hang native"}, on_event=recorder),
        pool.submit(f"{TASKS}:wait_for_cancel", {}),
        pool.submit(f"{TASKS}:echo", {}),
    ]
    grandchild = psutil.Process(int(recorder.wait_for_log()))
    family = set(psutil.Process().children(recursive=True)) - others
    assert len(family) >= 2
    pool.close()
    pool.close()
    assert [job.state for job in jobs] == ["cancelled"] * 3
    assert [finished and finished.status for finished in (job.wait(0) for job in jobs)] == ["cancelled"] * 3
    assert not set(psutil.Process().children(recursive=True)) - others
    assert_ended([*family, grandchild])
    with pytest.raises(JobError, match="closed"):
        pool.submit(f"{TASKS}:echo", {})


def test_closing_while_workers_start_leaves_nothing() -> None:
    threads = threading.active_count()
    for _ in range(5):
        with JobPool(2) as pool:
            job = pool.submit(f"{TASKS}:echo", {})
        with pytest.raises(Cancelled):
            job.result(0)
    assert threading.active_count() == threads


def test_a_pool_closes_all_its_descriptors() -> None:
    def descriptors() -> int:
        return psutil.Process(os.getpid()).num_fds()

    before = descriptors()
    with JobPool(1) as pool:
        pool.submit(f"{TASKS}:echo", {}).result(PATIENCE)
        pool.submit(f"{TASKS}:exit_now", {}).wait(PATIENCE)
    assert descriptors() == before


def test_a_callback_may_close_the_pool(make_pool: MakePool) -> None:
    pool = make_pool(1, spare=True)
    closed = threading.Event()

    def close(event: object) -> None:
        pool.close()
        closed.set()

    pool.submit(f"{TASKS}:echo", {}, on_event=close)
    assert closed.wait(PATIENCE)


def test_there_is_always_a_worker() -> None:
    assert 1 <= default_workers() <= 4
