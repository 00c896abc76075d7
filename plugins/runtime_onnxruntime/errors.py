"""ONNX Runtime's messages, told as one sentence of what is wrong and one of what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from re import Match

from studio.api import RuntimeLoadError

Explanation = tuple[str, str]
_OTHER = "Try the runtime 'openvino', or replace the operator."

#: pattern in the engine's message to what is said instead, most telling first
_LOAD: tuple[tuple[str, Callable[[Match[str]], Explanation]], ...] = (
    (
        r"Could not find an implementation for (\S+?)\((-?\d+)\) node with name '([^']*)'",
        lambda m: (f"ONNX Runtime has no kernel for the operator {m[1]} (opset {m[2]}) of the node {m[3]!r}.", _OTHER),
    ),
    (
        r"Fatal error: (\S+?)\((-?\d+)\) is not a registered function/op",
        lambda m: (f"ONNX Runtime does not know the operator {m[1]}.", _OTHER),
    ),
    (
        r"In Node, \(\"([^\"]*)\".*No Op registered for (\S+) with domain_version of (\d+)",
        lambda m: (f"ONNX Runtime does not know the operator {m[2]} (opset {m[3]}) of the node {m[1]!r}.", _OTHER),
    ),
    (
        r"No Op registered for (\S+) with domain_version of (\d+)",
        lambda m: (f"ONNX Runtime does not know the operator {m[1]} (opset {m[2]}).", _OTHER),
    ),
    (
        r"Opset (\d+) is under development.*official support for domain (\S+) is till opset (\d+)",
        lambda m: (
            f"The model is of opset {m[1]} of {m[2]}; this ONNX Runtime goes to opset {m[3]}.",
            "Convert the model to a lower opset, or update onnxruntime.",
        ),
    ),
    (
        r"Unsupported model IR version: (\d+), max supported IR version: (\d+)",
        lambda m: (
            f"The model is of IR version {m[1]}; this ONNX Runtime goes to {m[2]}.",
            "Export it again with an older onnx, or update onnxruntime.",
        ),
    ),
    (
        r"Type '([^']*)' of input parameter \(([^)]*)\) of operator \((\w+)\) in node \(([^)]*)\) is invalid",
        lambda m: (f"The operator {m[3]} of the node {m[4]!r} cannot take {m[1]} as its input {m[2]!r}.", _OTHER),
    ),
    (
        r"Node \(([^)]*)\) Op \((\w+)\) \[\w+\] (.+)",
        lambda m: (
            f"The operator {m[2]} of the node {m[1]!r} is not valid: {_clause(m[3])}.",
            "Check the model with the ONNX checker, or export it again.",
        ),
    ),
    (
        r"Node input '([^']*)' is not a graph input, initializer, or output of a previous node",
        lambda m: (f"Nothing makes the tensor {m[1]!r} that a node uses.", "Export the model again."),
    ),
)
_LOST = re.compile(
    r"device (was |is )?(lost|removed|hung)|DEVICE_(LOST|REMOVED|HUNG)|CUDA failure (4|46|100|101|719|999)\b", re.I
)
_MEMORY = re.compile(r"out of memory|failed to allocate|bad_alloc|allocate memory|CUDA failure 2\b", re.I)
#: where the engine's text stops being about the model: status prefix, source file, C++ signature
_NOISE = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .*? failed:|\S+\.(cc|h|cpp|cu)(:\d+)? .*?\) (?=[A-Z])|"
    r"^\S+\.(cc|h|cpp|cu):\d+ \w+ "
)


def load_error(error: Exception, model: str) -> RuntimeLoadError:
    """Explain why a model (named for people) could not be loaded."""
    text = " ".join(str(error).split())
    for pattern, say in _LOAD:
        match = re.search(pattern, text)
        if match:
            return RuntimeLoadError(*say(match))
    hardware = _hardware(text)
    if hardware is not None:
        return hardware
    return RuntimeLoadError(
        f"ONNX Runtime cannot load {model}: {meaning(error)}.", "Try the runtime 'openvino', or export it again."
    )


def run_error(error: Exception) -> RuntimeLoadError:
    """Explain why an inference failed."""
    text = " ".join(str(error).split())
    hardware = _hardware(text)
    if hardware is not None:
        return hardware
    node = re.search(r"while running (\S+) node\. Name:'([^']*)' Status Message: (.+)", text)
    if node:
        return RuntimeLoadError(
            f"The operator {node[1]} of the node {node[2]!r} failed: {_clause(node[3])}.",
            "Check that the shapes and values of the inputs fit the model.",
        )
    return RuntimeLoadError(f"The inference failed: {meaning(error)}.", "Check the inputs, or try another runtime.")


def meaning(error: Exception) -> str:
    """Give the first meaningful line of the engine's text, without status codes, file names and signatures."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return _clause(lines[0]) if lines else type(error).__name__


def _hardware(text: str) -> RuntimeLoadError | None:
    if _LOST.search(text):
        return RuntimeLoadError("The device was lost.", "Check its driver and its power, then start again.")
    if _MEMORY.search(text):
        return RuntimeLoadError("The device ran out of memory.", "Use a smaller batch, or another device.")
    return None


def _clause(text: str) -> str:
    while (shorter := _NOISE.sub("", text, count=1)) != text:
        text = shorter
    return text.split(" was false. ")[-1][:300].strip().rstrip(".")
