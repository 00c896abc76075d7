"""What went wrong with a job, as one sentence and one more: exceptions, crashes, lost workers."""

from __future__ import annotations

import signal
import traceback

from studio.core import errors
from studio.core.atomic import explain
from studio.jobs.protocol import ErrorInfo
from studio.jobs.wire import NotJsonError

_DEBUG = "Run it again with --debug to see where it happened."
_MEMORY = "Close other programs, or use fewer samples, a smaller batch or a smaller model."
_CRASH = (
    "The fault is in native code: try another version of the library or other options; --debug shows its last output."
)
_OTHER_BUILD = "A library uses an instruction that this processor does not have: install another build of it."

#: what Windows calls the ends that a person may meet (NTSTATUS)
_WINDOWS = {
    0xC0000005: "access violation",
    0xC000001D: "illegal instruction",
    0xC0000094: "integer division by zero",
    0xC00000FD: "stack overflow",
    0xC0000135: "DLL not found",
    0xC0000139: "DLL entry point not found",
    0xC0000374: "heap corruption",
    0xC0000409: "stack buffer overrun or abort",
    0xC000013A: "Ctrl-C",
}

_HINTS = {
    "SIGKILL": "The system may have run out of memory. " + _MEMORY,
    "SIGILL": _OTHER_BUILD,
    "illegal instruction": _OTHER_BUILD,
    "DLL not found": "Install the Microsoft Visual C++ redistributable, or the library anew.",
}


def of_exception(error: BaseException, step: str) -> ErrorInfo:
    """Describe what a task raised.

    Parameters
    ----------
    error
        The exception.
    step
        What the job was doing, for the sentence.
    """
    kind = type(error).__name__
    if isinstance(error, errors.BurnishError):
        return ErrorInfo(_family(error), error.message, error.hint, _trace(error), error.exit_code)
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return ErrorInfo(kind, f"{step} ran out of memory{_after(text)}.", _MEMORY, _trace(error))
    if isinstance(error, OSError):
        reason, hint = explain(error)
        place = f" with {error.filename}" if error.filename else ""
        return ErrorInfo("StoreError", f"{step} failed{place}: {reason}.", hint, _trace(error))
    if isinstance(error, NotJsonError):
        fault = "This is a fault of the plugin or task: report it to its authors."
        return ErrorInfo("JobError", f"{step} returned what is not JSON: {error}.", fault, _trace(error))
    if isinstance(error, RecursionError):
        return ErrorInfo(kind, f"{step} recursed too deeply{_after(text)}.", _DEBUG, _trace(error))
    return ErrorInfo(kind, f"Unexpected {kind} in {step}{_after(text)}", _DEBUG, _trace(error))


def of_crash(returncode: int, step: str, tail: str) -> ErrorInfo:
    """Describe a worker that ended in the middle of a job.

    Parameters
    ----------
    returncode
        As `subprocess.Popen.returncode`: negative for a signal, an NTSTATUS on Windows.
    step
        What the job was doing.
    tail
        The last lines that the worker printed.
    """
    name = cause(returncode)
    verb = "was killed" if name == "SIGKILL" else "crashed"
    return ErrorInfo("JobError", f"The worker {verb} ({name}) in {step}.", _HINTS.get(name, _CRASH), tail)


def of_start(reason: str, tail: str) -> ErrorInfo:
    """Describe a worker that never came up."""
    hint = "The installation may be damaged: install Burnish anew; --debug shows what the worker said."
    return ErrorInfo("JobError", f"The worker could not start ({reason}).", hint, tail)


def of_overrun(used: int, step: str, reason: str) -> ErrorInfo:
    """Describe a worker that was ended because of its memory, `used` in bytes; `reason` is a sentence."""
    message = f"{step} ran out of memory: the worker used {size_text(used)}."
    return ErrorInfo("JobError", message, f"{reason} {_MEMORY}")


def of_need(need: int, free: int, step: str) -> ErrorInfo:
    """Describe a job that needs more memory (bytes) than the machine has free."""
    return ErrorInfo("JobError", f"{step} needs about {size_text(need)} but {size_text(free)} is free.", _MEMORY)


def cause(returncode: int) -> str:
    """Name a process's end: "SIGSEGV", "access violation", "exit status 3"."""
    if 0 <= returncode <= 0xFF:
        return f"exit status {returncode}"
    if -0xFF <= returncode < 0:
        named = [number.name for number in signal.Signals if number == -returncode]
        return named[0] if named else f"signal {-returncode}"
    code = returncode & 0xFFFFFFFF
    return _WINDOWS.get(code, f"exit code 0x{code:08X}")


def size_text(size: int) -> str:
    """Write bytes for a person: "3.1 GB", "412 MB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(0, size) / 1e6:.0f} MB"


def _family(error: errors.BurnishError) -> str:
    """Name the nearest class that the parent knows too: a plugin's own subclass is not importable there."""
    names = (kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    return next(names, "JobError")


def _after(text: str) -> str:
    return f": {text}" if text else ""


def _trace(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception:
        # No memory or no stack left to format it: the sentence has to do.
        return ""
