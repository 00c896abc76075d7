"""Messages on the wire: strict JSON that gives back what was sent."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from studio.core import errors
from studio.jobs import wire
from studio.jobs.protocol import (
    Cancel,
    ErrorInfo,
    Finished,
    Hello,
    Log,
    Message,
    Progress,
    Run,
    Samples,
    Started,
    decode,
    encode,
)

MESSAGES: list[Message] = [
    Run("job-1", "package.module:function", {"path": "模型.onnx", "sizes": [1, 2.5, None, True]}, "quantize"),
    Cancel("job-1"),
    Hello(12),
    Started("job-1", 12),
    Progress("job-1", 1.0, 3.0, "layer ü"),
    Samples("job-1", "latency", [1, 2**60], {"variant": "int8"}),
    Log("job-1", "warning", "two\nlines\r and \u2028"),
    Finished("job-1", "completed", {"ratio": 1.5}, None, 0.25),
    Finished("job-1", "failed", None, ErrorInfo("DataError", "No.", "Yes.", "Traceback\n", 2), 0.25),
    Finished("job-1", "cancelled"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.type)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert decode(line) == message


@pytest.mark.parametrize("line", [b"", b"\n", b"[]\n", b'{"type":"nothing"}\n', b'{"type":"hello"}\n', b"{", b"\xff\n"])
def test_a_line_that_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        decode(line)


@pytest.mark.parametrize(
    "value",
    [
        math.inf,
        -math.inf,
        {"a": [1.5, -math.inf, {"b": (math.inf,)}]},
        {"$float": "nan"},
        {"$float": 1, "$$float": math.inf},
        ["$float", {"x": '"$float"'}],
        "lone \udc80 surrogate",
        {"": None, "ключ": [True, False]},
    ],
)
def test_values_survive(value: Any) -> None:
    def listed(item: Any) -> Any:
        if isinstance(item, (list, tuple)):
            return [listed(part) for part in item]
        return {key: listed(part) for key, part in item.items()} if isinstance(item, dict) else item

    text = wire.dumps(value)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert wire.loads(text) == listed(value)


def test_nan_survives() -> None:
    assert math.isnan(wire.loads(wire.dumps({"loss": [math.nan]}))["loss"][0])


def test_megabytes_survive() -> None:
    message = Samples("job-1", "latency", list(range(500_000)), {"text": "x" * 2_000_000, "bad": math.inf})
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({"files": [1, {"model": Path("m.onnx")}]}, r"files\[1\]\['model'\] is a PosixPath"),
        ({"a": {(1, 2): 3}}, "a has a key that is a tuple"),
        ({"a": {1, 2}}, "a is a set"),
        (object(), "the value is a object"),
        ({"a": b"bytes"}, "a is a bytes"),
    ],
)
def test_what_json_cannot_carry_is_named(value: Any, what: str) -> None:
    with pytest.raises(wire.NotJsonError, match=what):
        wire.dumps(value)


def test_a_value_that_holds_itself_is_named() -> None:
    value: dict[str, Any] = {"list": [1]}
    value["list"].append(value["list"])
    with pytest.raises(wire.NotJsonError, match=r"list\[1\] contains itself"):
        wire.dumps(value)


def test_a_value_nested_too_deeply_is_refused() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(wire.NotJsonError, match="nested too deeply"):
        wire.dumps(value)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("UsageError", errors.UsageError), ("ValueError", errors.JobError), ("annotations", errors.JobError)],
)
def test_an_error_becomes_an_exception_again(kind: str, expected: type[errors.BurnishError]) -> None:
    error = ErrorInfo(kind, "It is wrong.", "Mend it.", "Traceback", 2).to_exception()
    assert type(error) is expected
    assert (error.message, error.hint, error.exit_code) == ("It is wrong.", "Mend it.", 2)
    assert error.__notes__ == ["Traceback"]
