"""OpenVINO's messages, told as one sentence of what is wrong and one of what to do."""

from __future__ import annotations

import re

from studio.api import RuntimeLoadError

_OTHER = "Try the runtime 'onnxruntime', or replace the operator."
_CHECK = "Check the model with the ONNX checker, or export it again."
_UNKNOWN = re.compile(
    r"(?:No conversion rule found for operations|does not support the following ONNX operations): (.+)"
)
_FAILED = re.compile(r"Conversion is failed for: (.+)")
_NODE = re.compile(r"While validating ONNX node '<Node\((\w+)\): ([^>]*)>'")
_KERNEL = re.compile(r"\[\w+\] (\w+) node with name '([^']*)'")
_NO_TENSOR = re.compile(r"Input tensor isn't found for node \"([^\"]*)\"")
_LOST = re.compile(r"DEVICE_(LOST|REMOVED|HUNG)|device (was |is )?(lost|removed)|CL_DEVICE_NOT_AVAILABLE", re.I)
_MEMORY = re.compile(r"out of memory|bad_alloc|OUT_OF_(HOST|DEVICE)_MEMORY|MEM_OBJECT_ALLOCATION_FAILURE", re.I)
#: lines of the engine's text that tell where in its own source it failed, not what is wrong
_NOISE = re.compile(
    r"^(Caught exception: |Exception from |Check '|FrontEnd API |Model wasn't |Summary:|While validating |"
    r"\[\w+\] \w+ node|Loading input model|-- .* with a message:|-+$)"
)


def load_error(error: Exception, model: str, device: str) -> RuntimeLoadError:
    """Explain why a model (named for people) could not be read or compiled."""
    text = str(error)
    unknown = _UNKNOWN.search(text)
    if unknown:
        return RuntimeLoadError(f"OpenVINO does not support {_operators(unknown[1])}.", _OTHER)
    failed = _FAILED.search(text)
    if failed:
        node = _NODE.search(text)
        where = f" of the node that makes {node[2]!r}" if node else ""
        return RuntimeLoadError(f"OpenVINO cannot convert {_operators(failed[1])}{where}: {meaning(error)}.", _CHECK)
    missing = _NO_TENSOR.search(text)
    if missing:
        return RuntimeLoadError(f"Nothing makes the tensor {missing[1]!r} that a node uses.", "Export the model again.")
    return (
        _hardware(text, device)
        or _kernel(error)
        or RuntimeLoadError(
            f"OpenVINO cannot load {model} onto {device}: {meaning(error)}.",
            "Try the runtime 'onnxruntime', or export it again.",
        )
    )


def run_error(error: Exception, device: str) -> RuntimeLoadError:
    """Explain why an inference failed."""
    return (
        _hardware(str(error), device)
        or _kernel(error)
        or RuntimeLoadError(f"The inference failed: {meaning(error)}.", "Check the inputs, or try another runtime.")
    )


def meaning(error: Exception) -> str:
    """Give the first line of the engine's text that speaks of the model."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not _NOISE.match(line)]
    return (telling or [type(error).__name__])[0][:300].rstrip(".")


def _operators(listed: str) -> str:
    """Write ``Foo-17, ai.custom.Bar`` as ``the operator Foo (opset 17)`` and so on."""
    names = []
    for item in listed.split(","):
        name, _, opset = item.strip().partition("-")
        names.append(f"{name} (opset {opset})" if opset else name)
    return f"the operator{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _kernel(error: Exception) -> RuntimeLoadError | None:
    found = _KERNEL.search(str(error))
    if found is None:
        return None
    return RuntimeLoadError(
        f"The operator {found[1]} of the node {found[2]!r} failed: {meaning(error)}.",
        "Check that the shapes and values of the inputs fit the model.",
    )


def _hardware(text: str, device: str) -> RuntimeLoadError | None:
    if _LOST.search(text):
        return RuntimeLoadError(f"The device {device} was lost.", "Check its driver and its power, then start again.")
    if _MEMORY.search(text):
        return RuntimeLoadError(f"The device {device} ran out of memory.", "Use a smaller batch, or another device.")
    return None
