"""The child process: it takes one job at a time from the pipe, runs it and says how it went."""

from __future__ import annotations

import faulthandler
import gc
import importlib
import io
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, BinaryIO

from studio.core.errors import Cancelled, JobError
from studio.jobs import failures, launch, lifeline
from studio.jobs.output import END_OF_OUTPUT
from studio.jobs.protocol import Cancel, Finished, Hello, Message, Run, Started, decode, encode
from studio.jobs.reporter import Throttle, WorkerReporter
from studio.jobs.wire import NotJsonError

if sys.platform == "win32":
    import msvcrt

_IONBF = 2  # stdio.h of glibc, musl and macOS: no buffer

Task = Callable[[dict[str, Any], WorkerReporter], dict[str, Any]]


def main() -> int:
    """Serve until the pipe closes; the entry point of ``burnish worker``."""
    commands, events, output = claim_descriptors()
    heritage = launch.take_heritage(os.environ)
    if heritage.lifeline >= 0:
        lifeline.hold(heritage.lifeline, heritage.parent)
    heritage.adopt()
    _tame_output()
    Worker(commands, events, output).serve()
    return 0


def claim_descriptors() -> tuple[BinaryIO, BinaryIO, int]:
    """Take descriptors 0 and 1 for the protocol, and give everyone else the null device and fd 2 in their place.

    Native libraries print to fd 1 whenever they like; what they print goes where errors go.

    Returns
    -------
    tuple
        Where commands come from, where events go to, and a second descriptor of the output.
    """
    commands, events, output = os.dup(0), os.dup(1), os.dup(2)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    if sys.platform == "win32":
        msvcrt.setmode(commands, os.O_BINARY)
        msvcrt.setmode(events, os.O_BINARY)
    return os.fdopen(commands, "rb"), os.fdopen(events, "wb"), output


def _tame_output() -> None:
    """Let what is printed arrive line by line, in UTF-8, and a crash leave a Python traceback on fd 2."""
    for name, fd in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
        else:  # a program without a console has none
            setattr(sys, name, os.fdopen(fd, "w", 1, "utf-8", "backslashreplace", closefd=False))
    if sys.platform != "win32":
        _unbuffer_native_stdout()
    faulthandler.enable(2)


def _unbuffer_native_stdout() -> None:
    """Let C code's printf arrive at once: its buffer would be lost in a crash, or land in the next job's log."""
    import ctypes

    with suppress(OSError, ValueError, AttributeError):
        libc = ctypes.CDLL(None)
        stream = ctypes.c_void_p.in_dll(libc, "__stdoutp" if sys.platform == "darwin" else "stdout")
        libc.setvbuf(stream, None, _IONBF, ctypes.c_size_t(0))


class Worker:
    """Runs jobs on the main thread while a second thread listens for commands.

    Parameters
    ----------
    commands, events
        The two directions of the pipe, binary.
    output
        A descriptor of what 1 and 2 are, and are made again after each job.
    """

    def __init__(self, commands: BinaryIO, events: BinaryIO, output: int) -> None:
        self._commands = commands
        self._events = events
        self._output = output
        self._write_lock = threading.Lock()
        self._runs: queue.SimpleQueue[Run] = queue.SimpleQueue()
        self._cancels: dict[str, threading.Event] = {}
        self._throttle = Throttle(self.send)

    def serve(self) -> None:
        """Say hello and work until the process is ended: the listener ends it when the pipe closes."""
        threading.Thread(target=self._listen, name="commands", daemon=True).start()
        # What is loaded by now stays: leaving it out makes the collection after each job quick.
        gc.freeze()
        self.send(Hello(os.getpid()))
        while True:
            self._perform(self._runs.get())
            # Graphs are full of cycles; their memory should not wait for the next job's garbage.
            gc.collect()

    def send(self, message: Message) -> None:
        """Write a message; whole, whichever thread calls."""
        line = encode(message)
        with self._write_lock:
            self._events.write(line)
            self._events.flush()

    def _listen(self) -> None:
        with suppress(OSError):
            for line in self._commands:
                self._obey(decode(line))
        # The parent closed the pipe or died.
        lifeline.kill_own_group()

    def _obey(self, command: Message) -> None:
        if isinstance(command, Run):
            self._cancels[command.job] = threading.Event()
            self._runs.put(command)
        elif isinstance(command, Cancel) and (event := self._cancels.get(command.job)):
            event.set()

    def _perform(self, run: Run) -> None:
        begin = time.perf_counter()
        self.send(Started(run.job, os.getpid()))
        finished = self._outcome(run)
        self._throttle.flush()
        self._end_output(run.job)
        self._cancels.pop(run.job, None)
        finished = replace(finished, seconds=time.perf_counter() - begin)
        try:
            self.send(finished)
        except (NotJsonError, MemoryError) as error:
            problem = failures.of_exception(error, _step(run))
            self.send(replace(finished, status="failed", result=None, error=problem))

    def _outcome(self, run: Run) -> Finished:
        cancelled = self._cancels[run.job]
        reporter = WorkerReporter(run.job, self.send, self._throttle, cancelled)
        try:
            reporter.check()
            result: object = find_task(run.task)(run.payload, reporter)
            if not isinstance(result, dict):
                raise NotJsonError(f"result is a {type(result).__name__} in place of a dict")
        except Cancelled:
            return Finished(run.job, "cancelled")
        except BaseException as error:  # SystemExit and KeyboardInterrupt too: the worker lives on
            return Finished(run.job, "failed", error=failures.of_exception(error, _step(run)))
        return Finished(run.job, "completed", result)

    def _end_output(self, job: str) -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        # A task that closed or redirected them must not do that for the next job.
        os.dup2(self._output, 1)
        os.dup2(self._output, 2)
        with suppress(OSError):
            os.write(self._output, f"\n{END_OF_OUTPUT}{job}\n".encode())


def find_task(name: str) -> Task:
    """Import a task by its name.

    Parameters
    ----------
    name
        "package.module:function".

    Raises
    ------
    JobError
        There is no such module or function. An error inside the module is raised as it is.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise JobError(f"There is no task {name!r}: it is not of the form 'package.module:function'.")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name + ".").startswith(error.name + "."):
            raise JobError(f"There is no task {name!r}: no module {error.name!r}.") from None
        raise
    task = getattr(module, attribute, None)
    if not callable(task):
        raise JobError(f"There is no task {name!r}: {module_name!r} has no function {attribute!r}.")
    return task  # type: ignore[no-any-return]


def _step(run: Run) -> str:
    return run.step or run.task.rpartition(":")[2]
