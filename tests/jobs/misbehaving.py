"""Tasks that do to a worker what plugins and native libraries do, and worse."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from studio.core.errors import Cancelled, PassError, UsageError
from studio.core.report import Reporter

Payload = dict[str, Any]


class OddPassError(PassError):
    """A plugin's own error: the parent cannot import it."""

    exit_code = 7


def echo(payload: Payload, reporter: Reporter) -> Payload:
    return payload


def identity(payload: Payload, reporter: Reporter) -> Payload:
    return {"pid": os.getpid(), "cwd": str(Path.cwd()), "path": sys.path, "env": dict(os.environ)}


def segfault(payload: Payload, reporter: Reporter) -> NoReturn:
    print("about to read address 0")
    ctypes.string_at(0)
    raise AssertionError("read address 0")


def abort(payload: Payload, reporter: Reporter) -> NoReturn:
    os.abort()


def exit_now(payload: Payload, reporter: Reporter) -> NoReturn:
    os._exit(3)


def killed(payload: Payload, reporter: Reporter) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("survived SIGKILL")


def wait_for_cancel(payload: Payload, reporter: Reporter) -> NoReturn:
    reporter.log("waiting")
    while True:
        reporter.check()
        time.sleep(0.005)


def wait_for_file(payload: Payload, reporter: Reporter) -> Payload:
    begin = time.monotonic_ns()
    reporter.log("waiting")
    while not Path(payload["file"]).exists():
        reporter.check()
        time.sleep(0.002)
    return {"name": payload.get("name"), "begin": begin, "end": time.monotonic_ns()}


def span(payload: Payload, reporter: Reporter) -> Payload:
    begin = time.monotonic_ns()
    time.sleep(0.03)
    return {"pid": os.getpid(), "begin": begin, "end": time.monotonic_ns()}


def hang(payload: Payload, reporter: Reporter) -> NoReturn:
    """Hang in Python; with `stubborn`, refuse SIGTERM too."""
    if payload.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    reporter.log("hanging")
    while True:
        time.sleep(3600)


def hang_native(payload: Payload, reporter: Reporter) -> NoReturn:
    """Hang in C with the interpreter's lock held: no Python thread of this process runs again."""
    reporter.log("hanging")
    ctypes.PyDLL(None).pause()
    raise AssertionError("pause returned")


def ignore_cancel(payload: Payload, reporter: Reporter) -> Payload:
    """Notice the cancellation and go on to the end."""
    reporter.log("waiting")
    while True:
        try:
            reporter.check()
        except Cancelled:
            return {"finished": True}
        time.sleep(0.005)


def fail_when_cancelled(payload: Payload, reporter: Reporter) -> NoReturn:
    try:
        wait_for_cancel(payload, reporter)
    except Cancelled:
        raise RuntimeError("could not clean up") from None


def print_everywhere(payload: Payload, reporter: Reporter) -> Payload:
    os.write(1, b"by descriptor\n")
    print("by print: äöü 模型")
    print("on stderr", file=sys.stderr)
    ctypes.CDLL(None).printf(b"by printf\n")
    os.write(1, b'{"type":"finished","job":"job-1","status":"failed"}\n')
    os.write(1, b"\rone\rtwo\rthree\n")
    subprocess.run([sys.executable, "-c", "print('by a child')"], check=True)
    os.write(1, b"without an end of line")
    return {"stdin": os.read(0, 10).decode()}


def print_much(payload: Payload, reporter: Reporter) -> Payload:
    for number in range(payload["lines"]):
        print(f"line {number}")
    return {}


def close_output(payload: Payload, reporter: Reporter) -> Payload:
    os.close(1)
    os.close(2)
    return {"closed": True}


def fail(payload: Payload, reporter: Reporter) -> NoReturn:
    errors: dict[str, BaseException] = {
        "value": ValueError("no such\nthing"),
        "silent": ValueError(),
        "usage": UsageError("There is no pass 'fuze'.", "Did you mean 'fuse'?"),
        "odd": OddPassError("The pass is odd.", "Even it out."),
        "memory": MemoryError("Unable to allocate 8.00 GiB"),
        "exit": SystemExit(3),
        "interrupt": KeyboardInterrupt(),
        "unicode": ValueError("\udcff ü"),
    }
    raise errors[payload["with"]]


def recurse(payload: Payload, reporter: Reporter) -> Payload:
    return recurse(payload, reporter)


def allocate(payload: Payload, reporter: Reporter) -> NoReturn:
    held = []
    reporter.log("allocating")
    while True:
        held.append(bytearray(b"x") * 4_000_000)
        time.sleep(0.002)


def return_unserialisable(payload: Payload, reporter: Reporter) -> Payload:
    values: dict[str, Any] = {
        "path": {"files": [1, {"model": Path("model.onnx")}]},
        "list": [1, 2],
        "none": None,
        "key": {"by": {(1, 2): 3}},
    }
    return values[payload["what"]]  # type: ignore[no-any-return]


def stream(payload: Payload, reporter: Reporter) -> Payload:
    for batch in range(5):
        reporter.samples("latency", range(100 * batch, 100 * batch + 100), {"batch": batch})
        reporter.log(f"batch {batch}", "warning" if batch == 4 else "info")
    return {}


def progress(payload: Payload, reporter: Reporter) -> Payload:
    begin = time.perf_counter()
    for done in range(payload["steps"]):
        reporter.progress(done, payload["steps"], f"step {done}")
    return {"seconds": time.perf_counter() - begin}


def progress_then_wait(payload: Payload, reporter: Reporter) -> Payload:
    """Report two steps at once and go on for long: the second must arrive in the meantime."""
    reporter.progress(1, 3, "first")
    reporter.progress(2, 3, "second")
    return wait_for_file(payload, reporter)


def with_grandchild(payload: Payload, reporter: Reporter) -> NoReturn:
    """Start a process that outlives a careless parent, then hang, natively if asked, or crash."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    reporter.log(str(child.pid))
    if payload["then"] == "crash":
        segfault(payload, reporter)
    if payload["then"] == "hang":
        hang(payload, reporter)
    hang_native(payload, reporter)


def fork_and_die(payload: Payload, reporter: Reporter) -> NoReturn:
    """Leave a forked child behind that holds the worker's pipes open."""
    child = os.fork()
    if child == 0:
        time.sleep(3600)
    reporter.log(str(child))
    os._exit(4)
