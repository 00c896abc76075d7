"""What a task and its libraries print never reaches the protocol, and is in the job's log."""

from __future__ import annotations

import sys

import pytest

from studio.jobs.pool import JobPool
from studio.jobs.protocol import Finished, Log
from tests.jobs.recorder import PATIENCE, Recorder

TASKS = "tests.jobs.misbehaving"


def printed(recorder: Recorder) -> list[str]:
    return [event.text for event in recorder.of(Log) if event.level == "debug"]


@pytest.mark.skipif(sys.platform == "win32", reason="prints through the C library by its POSIX name")
def test_what_is_printed_goes_to_the_log_line_by_line(pool: JobPool) -> None:
    recorder = Recorder()
    result = pool.submit(f"{TASKS}:print_everywhere", {}, on_event=recorder).result(PATIENCE)
    assert result == {"stdin": ""}
    assert printed(recorder) == [
        "by descriptor",
        "by print: äöü 模型",
        "on stderr",
        "by printf",
        '{"type":"finished","job":"job-1","status":"failed"}',
        "three",
        "by a child",
        "without an end of line",
    ]


def test_all_lines_come_before_the_end(pool: JobPool) -> None:
    for _ in range(3):
        recorder = Recorder()
        pool.submit(f"{TASKS}:print_much", {"lines": 2000}, on_event=recorder).result(PATIENCE)
        assert printed(recorder) == [f"line {number}" for number in range(2000)]
        assert isinstance(recorder.events[-1], Finished)


def test_a_flood_of_lines_is_neither_lost_nor_hoarded(pool: JobPool) -> None:
    recorder = Recorder()
    pool.submit(f"{TASKS}:print_much", {"lines": 50_000}, on_event=recorder).result(PATIENCE)
    assert len(printed(recorder)) == 50_000


def test_a_task_that_closes_its_output_does_not_do_so_for_the_next(pool: JobPool) -> None:
    recorder = Recorder()
    assert pool.submit(f"{TASKS}:close_output", {}).result(PATIENCE) == {"closed": True}
    pool.submit(f"{TASKS}:print_much", {"lines": 1}, on_event=recorder).result(PATIENCE)
    assert printed(recorder) == ["line 0"]
