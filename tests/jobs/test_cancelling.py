"""Cancelling asks, then terminates, then kills; the job is `cancelled` whichever it took."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from studio.core.errors import Cancelled, JobError
from studio.jobs.pool import JobPool
from studio.jobs.protocol import Finished, Started
from studio.jobs.seat import CancelGrace
from tests.jobs.conftest import MakePool
from tests.jobs.family import assert_ended, found
from tests.jobs.recorder import PATIENCE, Recorder

TASKS = "tests.jobs.misbehaving"


def cancelled_pid(pool: JobPool, task: str, payload: dict[str, object] | None = None) -> int:
    """Start a job, cancel it once it is where it wants to be, and give its process id."""
    recorder = Recorder()
    job = pool.submit(f"{TASKS}:{task}", payload or {}, on_event=recorder)
    recorder.wait_for_log()
    states = [job.state]
    job.cancel()
    with pytest.raises(Cancelled):
        job.result(PATIENCE)
    finished = recorder.events[-1]
    assert isinstance(finished, Finished)
    assert (finished.status, finished.result, finished.error) == ("cancelled", None, None)
    assert [*states, job.state] == ["running", "cancelled"]
    return recorder.of(Started)[0].pid


def next_pid(pool: JobPool) -> int:
    return int(pool.submit(f"{TASKS}:identity", {}).result(PATIENCE)["pid"])


@pytest.mark.parametrize("task", ["wait_for_cancel", "ignore_cancel", "fail_when_cancelled"])
def test_a_task_that_answers_keeps_its_worker(make_pool: MakePool, task: str) -> None:
    pool = make_pool(grace=CancelGrace(ask=PATIENCE))
    assert next_pid(pool) == cancelled_pid(pool, task) == next_pid(pool)


def test_a_task_that_does_not_answer_is_terminated(make_pool: MakePool) -> None:
    pool = make_pool(grace=CancelGrace(ask=0.05, terminate=PATIENCE))
    assert cancelled_pid(pool, "hang") != next_pid(pool)


@pytest.mark.skipif(sys.platform == "win32", reason="names the C library as POSIX does")
def test_native_code_that_holds_the_interpreter_is_terminated(make_pool: MakePool) -> None:
    pool = make_pool(grace=CancelGrace(ask=0.05, terminate=PATIENCE))
    assert cancelled_pid(pool, "hang_native") != next_pid(pool)


def test_a_task_that_refuses_to_be_terminated_is_killed(make_pool: MakePool) -> None:
    pool = make_pool(grace=CancelGrace(ask=0.05, terminate=0.05))
    assert cancelled_pid(pool, "hang", {"stubborn": True}) != next_pid(pool)


def test_what_the_task_started_ends_with_it(make_pool: MakePool) -> None:
    pool = make_pool(grace=CancelGrace(ask=0.05, terminate=0.05))
    recorder = Recorder()
    job = pool.submit(f"{TASKS}:with_grandchild", {"then": "hang native"}, on_event=recorder)
    grandchild = psutil.Process(int(recorder.wait_for_log()))
    job.cancel()
    assert job.wait(PATIENCE)
    assert_ended([grandchild])


def test_what_a_crashed_task_started_ends_too(pool: JobPool) -> None:
    recorder = Recorder()
    job = pool.submit(f"{TASKS}:with_grandchild", {"then": "crash"}, on_event=recorder)
    pid = int(recorder.wait_for_log())
    with pytest.raises(JobError, match="SIGSEGV"):
        job.result(PATIENCE)
    assert_ended(found(pid))


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_forked_child_that_holds_the_pipes_hides_no_crash(pool: JobPool) -> None:
    recorder = Recorder()
    job = pool.submit(f"{TASKS}:fork_and_die", {}, on_event=recorder)
    pid = int(recorder.wait_for_log())
    with pytest.raises(JobError, match="exit status 4"):
        job.result(PATIENCE)
    assert_ended(found(pid))


def test_a_queued_job_is_over_at_once(pool: JobPool, tmp_path: Path) -> None:
    recorder = Recorder()
    first = pool.submit(f"{TASKS}:wait_for_file", {"file": str(tmp_path / "go")})
    second = pool.submit(f"{TASKS}:echo", {}, on_event=recorder)
    third = pool.submit(f"{TASKS}:echo", {"third": 3})
    assert second.state == "queued"
    second.cancel()
    second.cancel()
    finished = second.wait(PATIENCE)
    assert finished
    assert recorder.events == [finished]
    assert (finished.status, finished.seconds) == ("cancelled", 0)
    assert pool.jobs == [first, third]
    (tmp_path / "go").touch()
    assert third.result(PATIENCE) == {"third": 3}
    assert first.state == "completed"


def test_a_job_that_is_over_stays_as_it_is(pool: JobPool) -> None:
    job = pool.submit(f"{TASKS}:echo", {"a": 1})
    job.result(PATIENCE)
    job.cancel()
    assert job.result(PATIENCE) == {"a": 1}


def test_a_job_can_be_cancelled_while_its_worker_starts(pool: JobPool) -> None:
    job = pool.submit(f"{TASKS}:wait_for_cancel", {})
    job.cancel()
    with pytest.raises(Cancelled):
        job.result(PATIENCE)


def test_a_callback_may_cancel(pool: JobPool) -> None:
    job = pool.submit(f"{TASKS}:wait_for_cancel", {}, on_event=lambda event: job.cancel())
    with pytest.raises(Cancelled):
        job.result(PATIENCE)


def test_a_part_is_kept_only_when_it_is_wanted(pool: JobPool) -> None:
    recorder = Recorder()
    job = pool.submit(f"{TASKS}:ignore_cancel", {}, partial=True, on_event=recorder)
    recorder.wait_for_log()
    job.cancel()
    assert job.result(PATIENCE) == {"finished": True}
    assert job.state == "cancelled"


def test_without_a_part_even_a_wanted_one_is_cancelled(pool: JobPool) -> None:
    recorder = Recorder()
    job = pool.submit(f"{TASKS}:wait_for_cancel", {}, partial=True, on_event=recorder)
    recorder.wait_for_log()
    job.cancel()
    with pytest.raises(Cancelled):
        job.result(PATIENCE)
