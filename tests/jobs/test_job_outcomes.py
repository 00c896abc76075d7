"""Every way in which a job ends, and that the pool goes on after each."""

from __future__ import annotations

import math
import queue
from typing import Any

import pytest

from studio.core import errors
from studio.jobs.job import Job
from studio.jobs.pool import JobPool
from studio.jobs.protocol import ErrorInfo, Finished, Log, Progress, Samples, Started
from tests.jobs.conftest import MakePool
from tests.jobs.recorder import PATIENCE, Recorder

TASKS = "tests.jobs.misbehaving"


def failure(pool: JobPool, task: str, payload: dict[str, Any] | None = None, step: str = "") -> ErrorInfo:
    """Run a task that fails; and one that does not, to see that the pool goes on."""
    finished = pool.submit(f"{TASKS}:{task}", payload or {}, step=step).wait(PATIENCE)
    assert finished
    assert finished.status == "failed"
    assert finished.result is None
    assert finished.error
    assert pool.submit(f"{TASKS}:echo", {"still": "there"}).result(PATIENCE) == {"still": "there"}
    return finished.error


def test_a_result_comes_back(pool: JobPool) -> None:
    recorder = Recorder()
    payload = {"text": "模型 \udc80", "floats": [1.5, math.inf], "none": None, "deep": {"$float": [True]}}
    job = pool.submit(f"{TASKS}:echo", payload, label="Echo it", step="echo", on_event=recorder)
    assert job.result(PATIENCE) == payload
    assert (job.state, job.label, job.step) == ("completed", "Echo it", "echo")
    started, finished = recorder.events
    assert isinstance(started, Started)
    assert isinstance(finished, Finished)
    assert finished == job.wait()
    assert finished.seconds > 0
    assert pool.jobs == []


def test_megabytes_go_both_ways(pool: JobPool) -> None:
    payload = {"text": "x" * 5_000_000, "numbers": list(range(100_000))}
    assert pool.submit(f"{TASKS}:echo", payload).result(PATIENCE) == payload


def test_a_worker_is_used_again(pool: JobPool) -> None:
    pids = {pool.submit(f"{TASKS}:identity", {}).result(PATIENCE)["pid"] for _ in range(3)}
    assert len(pids) == 1


def test_a_fresh_job_gets_a_worker_that_ran_nothing(make_pool: MakePool) -> None:
    pool = make_pool(1, spare=True)
    used = pool.submit(f"{TASKS}:identity", {}).result(PATIENCE)["pid"]
    seen = {used}
    for exclusive in (False, True, True):
        fresh = pool.submit(f"{TASKS}:identity", {}, fresh=True, exclusive=exclusive).result(PATIENCE)["pid"]
        assert fresh not in seen
        seen.add(fresh)


def test_a_worker_inherits_the_search_path_and_nothing_else(pool: JobPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.syspath_prepend("/elsewhere")
    found = pool.submit(f"{TASKS}:identity", {}).result(PATIENCE)
    assert "/elsewhere" in found["path"]
    assert found["env"]["PYTHONPATH"] == "/somewhere"
    assert not [name for name in found["env"] if name.startswith("BURNISH")]


def test_samples_and_log_lines_arrive_in_order(pool: JobPool) -> None:
    recorder = Recorder()
    pool.submit(f"{TASKS}:stream", {}, on_event=recorder).result(PATIENCE)
    kinds = [type(event) for event in recorder.events]
    assert kinds == [Started, *[Samples, Log] * 5, Finished]
    assert [value for batch in recorder.of(Samples) for value in batch.values] == list(range(500))
    assert [batch.info for batch in recorder.of(Samples)] == [{"batch": number} for number in range(5)]
    assert recorder.of(Log)[-1].level == "warning"


def test_progress_is_throttled_and_the_last_arrives(pool: JobPool) -> None:
    recorder = Recorder()
    seconds = pool.submit(f"{TASKS}:progress", {"steps": 20_000}, on_event=recorder).result(PATIENCE)["seconds"]
    events = recorder.of(Progress)
    assert 2 <= len(events) <= 3 + seconds / 0.05
    assert events[-1] == Progress(events[0].job, 19_999, 20_000, "step 19999")
    assert [event.done for event in events] == sorted(event.done for event in events)


def test_progress_that_was_held_back_follows_while_the_task_goes_on(pool: JobPool, tmp_path: Any) -> None:
    recorder = Recorder()
    job = pool.submit(f"{TASKS}:progress_then_wait", {"file": str(tmp_path / "go")}, on_event=recorder)
    assert [event.label for event in recorder.wait_for_progress(2)] == ["first", "second"]
    (tmp_path / "go").touch()
    job.result(PATIENCE)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("segfault", "The worker crashed (SIGSEGV) in quantize."),
        ("abort", "The worker crashed (SIGABRT) in quantize."),
        ("exit_now", "The worker crashed (exit status 3) in quantize."),
        ("killed", "The worker was killed (SIGKILL) in quantize."),
    ],
)
def test_a_crash_is_a_failure_with_a_name(pool: JobPool, task: str, message: str) -> None:
    error = failure(pool, task, step="quantize")
    assert (error.kind, error.message, error.exit_code) == ("JobError", message, 1)
    assert error.hint


def test_a_crash_says_where_it_was(pool: JobPool) -> None:
    error = failure(pool, "segfault")
    assert "about to read address 0" in error.detail
    assert "in segfault" in error.detail


@pytest.mark.parametrize(
    ("what", "kind", "message"),
    [
        ("value", "ValueError", "Unexpected ValueError in fuse: no such thing"),
        ("silent", "ValueError", "Unexpected ValueError in fuse"),
        ("memory", "MemoryError", "fuse ran out of memory: Unable to allocate 8.00 GiB."),
        ("exit", "SystemExit", "Unexpected SystemExit in fuse: 3"),
        ("interrupt", "KeyboardInterrupt", "Unexpected KeyboardInterrupt in fuse"),
        ("unicode", "ValueError", "Unexpected ValueError in fuse: \udcff ü"),
    ],
)
def test_an_exception_is_a_failure_in_one_sentence(pool: JobPool, what: str, kind: str, message: str) -> None:
    error = failure(pool, "fail", {"with": what}, step="fuse")
    assert (error.kind, error.message) == (kind, message)
    assert error.hint
    assert error.detail.startswith("Traceback")


def test_an_error_of_burnish_keeps_its_class_hint_and_status(pool: JobPool) -> None:
    job = pool.submit(f"{TASKS}:fail", {"with": "usage"})
    with pytest.raises(errors.UsageError, match="no pass 'fuze'") as caught:
        job.result(PATIENCE)
    assert (caught.value.hint, caught.value.exit_code) == ("Did you mean 'fuse'?", 2)
    assert "misbehaving.py" in caught.value.__notes__[0]


def test_a_plugins_own_error_becomes_its_nearest_relative(pool: JobPool) -> None:
    job = pool.submit(f"{TASKS}:fail", {"with": "odd"})
    with pytest.raises(errors.PassError, match="The pass is odd") as caught:
        job.result(PATIENCE)
    assert type(caught.value) is errors.PassError
    assert caught.value.exit_code == 7


def test_endless_recursion_is_a_failure(pool: JobPool) -> None:
    error = failure(pool, "recurse")
    assert error.message.startswith("recurse recursed too deeply: maximum recursion depth exceeded")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("path", "export returned what is not JSON: result['files'][1]['model'] is a PosixPath."),
        ("list", "export returned what is not JSON: result is a list in place of a dict."),
        ("none", "export returned what is not JSON: result is a NoneType in place of a dict."),
        ("key", "export returned what is not JSON: result['by'] has a key that is a tuple."),
    ],
)
def test_a_result_that_cannot_be_sent_is_a_failure(pool: JobPool, what: str, message: str) -> None:
    assert failure(pool, "return_unserialisable", {"what": what}, step="export").message == message


@pytest.mark.parametrize("task", ["tests.jobs.nothing:run", "tests.jobs.misbehaving:nothing", "nothing", ""])
def test_a_task_that_does_not_exist_is_a_failure(pool: JobPool, task: str) -> None:
    finished = pool.submit(task, {}).wait(PATIENCE)
    assert finished
    assert finished.error
    assert finished.error.message.startswith(f"There is no task {task!r}")


def test_a_payload_that_cannot_be_sent_is_refused_at_once(pool: JobPool) -> None:
    with pytest.raises(errors.JobError, match=r"echo cannot be sent to a worker: payload\['x'\] is a set"):
        pool.submit(f"{TASKS}:echo", {"x": {1}})
    assert pool.jobs == []


def test_a_callback_that_raises_harms_nothing(pool: JobPool, caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: object) -> None:
        raise SystemExit("broken")

    assert pool.submit(f"{TASKS}:echo", {"a": 1}, on_event=broken).result(PATIENCE) == {"a": 1}
    assert "the callback of job job-1 failed" in caplog.text


def test_a_callback_may_read_its_result_but_not_wait(pool: JobPool) -> None:
    seen: list[object] = []
    jobs: queue.Queue[Job] = queue.Queue()

    def attempt(event: object) -> None:
        job = jobs.get(timeout=PATIENCE)
        jobs.put(job)
        try:
            seen.append(job.result())
        except errors.JobError as error:
            seen.append(error.message)

    job = pool.submit(f"{TASKS}:echo", {"a": 1}, on_event=attempt)
    jobs.put(job)
    job.wait(PATIENCE)
    assert seen == ["A callback cannot wait for a job.", {"a": 1}]


def test_waiting_has_an_end(pool: JobPool) -> None:
    job = pool.submit(f"{TASKS}:wait_for_cancel", {})
    assert job.wait(0) is None
    with pytest.raises(TimeoutError, match="wait_for_cancel is still"):
        job.result(0)
