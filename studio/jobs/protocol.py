"""What a pool and a worker tell each other: typed messages, one line of JSON each."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from studio.core import errors
from studio.core.report import LogLevel
from studio.jobs import wire

Status = Literal["completed", "cancelled", "failed"]


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Why a job failed, in a shape that crosses a pipe.

    Parameters
    ----------
    kind
        Class name in `studio.core.errors`, or that of any other exception.
    message, hint
        One sentence of what is wrong, one of what to do (may be empty).
    detail
        A traceback or the last output of the worker, for ``--debug``; may be empty.
    exit_code
        Exit status of the command line.
    """

    kind: str
    message: str
    hint: str = ""
    detail: str = ""
    exit_code: int = 1

    def to_exception(self) -> errors.BurnishError:
        """Build the exception again: the class of that name, else `JobError`; `detail` becomes its note."""
        kind: object = getattr(errors, self.kind, None)
        if not (isinstance(kind, type) and issubclass(kind, errors.BurnishError)):
            kind = errors.JobError
        error = kind(self.message, self.hint)
        if error.exit_code != self.exit_code:
            error.exit_code = self.exit_code
        if self.detail:
            error.add_note(self.detail)
        return error


@dataclass(frozen=True, slots=True)
class Run:
    """To a worker: call ``task`` ("package.module:function") with ``payload``; ``step`` names it in errors."""

    type: ClassVar = "run"
    job: str
    task: str
    payload: dict[str, Any]
    step: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """To a worker: the job should stop as soon as it asks."""

    type: ClassVar = "cancel"
    job: str


@dataclass(frozen=True, slots=True)
class Hello:
    """From a worker, once: it is up and takes jobs."""

    type: ClassVar = "hello"
    pid: int


@dataclass(frozen=True, slots=True)
class Started:
    """The job has begun in the process `pid`."""

    type: ClassVar = "started"
    job: str
    pid: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How much is done, in the unit of `total`; `total` 0 means unknown."""

    type: ClassVar = "progress"
    job: str
    done: float
    total: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Samples:
    """Raw samples, in nanoseconds, of a named series."""

    type: ClassVar = "samples"
    job: str
    series: str
    values: list[int]
    info: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the job's log; what the process printed comes with level "debug"."""

    type: ClassVar = "log"
    job: str
    level: LogLevel
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The job's end, always its last event; `result` only when completed, `error` only when failed."""

    type: ClassVar = "finished"
    job: str
    status: Status
    result: dict[str, Any] | None = None
    error: ErrorInfo | None = None
    seconds: float = 0.0


Command = Run | Cancel
JobEvent = Started | Progress | Samples | Log | Finished
Message = Command | Hello | JobEvent

_TYPES: dict[str, type[Message]] = {
    kind.type: kind for kind in (Run, Cancel, Hello, Started, Progress, Samples, Log, Finished)
}


def encode(message: Message) -> bytes:
    """Write a message as one line, newline included.

    Raises
    ------
    wire.NotJsonError
        A payload, result or info holds what JSON cannot carry.
    """
    body: dict[str, Any] = {"type": message.type}
    for field in fields(message):
        body[field.name] = getattr(message, field.name)
    if isinstance(message, Finished) and message.error is not None:
        error = message.error
        body["error"] = {field.name: getattr(error, field.name) for field in fields(error)}
    return wire.dumps(body).encode("ascii") + b"\n"


def decode(line: bytes) -> Message:
    """Read one line.

    Raises
    ------
    ValueError
        The line is not a message of this protocol.
    """
    body = wire.loads(line)
    kind = _TYPES.get(body.pop("type", "")) if isinstance(body, dict) else None
    if kind is None:
        raise ValueError("not a message")
    if kind is Finished and isinstance(body.get("error"), dict):
        body["error"] = ErrorInfo(**body["error"])
    try:
        return kind(**body)
    except TypeError as error:
        raise ValueError(f"not a message: {error}") from None
