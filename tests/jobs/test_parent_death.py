"""A child exits when its parent dies, whatever it does, with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from studio.jobs import launch
from tests.jobs.family import assert_ended
from tests.jobs.recorder import PATIENCE

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


@contextmanager
def started(task: str, then: str) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """Start a parent; give it, its worker and its worker's child."""
    command = [sys.executable, "-m", "tests.jobs.parent", task, then]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout
        family = [psutil.Process(int(parent.stdout.readline())) for _ in range(2)]
        assert {process.status() for process in family} <= {psutil.STATUS_SLEEPING, psutil.STATUS_RUNNING}
        try:
            yield parent, family
        finally:
            parent.kill()


@pytest.mark.parametrize("then", ["hang", "hang native"])
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker needs its interpreter to notice")
def test_worker_and_grandchild_end_when_the_parent_is_killed(then: str) -> None:
    with started("with_grandchild", then) as (parent, family):
        parent.kill()
        parent.wait()
        assert_ended(family)


def test_a_worker_whose_interpreter_works_notices_by_itself() -> None:
    """The way of other systems: no lifeline, only the end of the pipe."""
    worker = subprocess.Popen(
        launch.worker_command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=launch.environment(-1),
        start_new_session=True,
    )
    with worker:
        assert worker.stdin
        assert worker.stdout
        worker.stdin.write(b'{"type":"run","job":"1","task":"tests.jobs.misbehaving:with_grandchild",')
        worker.stdin.write(b'"payload":{"then":"hang"}}\n')
        worker.stdin.flush()
        lines = [worker.stdout.readline() for _ in range(4)]
        assert b'"hanging"' in lines[3]
        family = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children()]
        worker.stdin.close()
        assert worker.wait(PATIENCE) == -signal.SIGKILL
        assert_ended(family[1:])


def test_a_worker_whose_parent_was_gone_before_it_was_up_ends() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    worker = subprocess.Popen(
        launch.worker_command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=launch.environment(reading),
        pass_fds=(reading,),
        start_new_session=True,
    )
    os.close(reading)
    with worker:
        assert worker.wait(PATIENCE) == -signal.SIGKILL


def test_ctrl_c_in_the_terminal_does_not_reach_the_worker() -> None:
    with started("with_grandchild", "hang") as (parent, family):
        assert {os.getpgid(process.pid) for process in family} == {family[0].pid}
        assert os.getsid(family[0].pid) != os.getsid(parent.pid)
