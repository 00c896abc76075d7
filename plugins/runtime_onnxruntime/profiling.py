"""Node times from ONNX Runtime's profiler, led back to the nodes of the model."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api import Artifact, ExecutedNode, RunOptions, RuntimeLoadError

from .backends import Backend
from .options import session_options
from .origins import Origins, find_origins
from .session import open_session, spec_of

if TYPE_CHECKING:
    Event = dict[str, Any]
    Key = tuple[str, str, str]

#: Above this many bytes the optimized graph is not written out to lead fused nodes back.
_LARGEST_WRITTEN = 1 << 29
_KERNEL = "_kernel_time"
#: kernels with a float input that they quantize on their own
_QUANTIZE_INSIDE = frozenset(["DynamicQuantizeMatMul", "DynamicQuantizeLSTM"])
_PRECISIONS = {"float": "f32", "double": "f64", "float16": "f16", "bfloat16": "bf16", "bool": "bool"}


def profile_model(
    ort: Any,
    artifact: Artifact,
    backend: Backend,
    options: RunOptions,
    execute: Callable[[Any], None],
    runs: int,
) -> tuple[ExecutedNode, ...]:
    """Execute a model `runs` times after one that does not count, with the profiler on.

    Parameters
    ----------
    execute
        Runs one inference in the session that it is given.

    Returns
    -------
    tuple
        Executed nodes in the order of execution. A node that runs a subgraph (If, Loop, Scan) has the
        time that its subgraph's nodes do not account for. Times have the profiler's resolution of 1 us.
    """
    with tempfile.TemporaryDirectory(prefix="burnish-profile-") as folder:
        session, optimized = _profiled_session(ort, artifact, backend, options, Path(folder))
        for _ in range(runs + 1):
            execute(session)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        origins = find_origins(artifact.path, optimized)
    return tuple(_nodes(events, origins, backend))


def _profiled_session(
    ort: Any, artifact: Artifact, backend: Backend, options: RunOptions, folder: Path
) -> tuple[Any, Path | None]:
    """Open a session that profiles; it writes its optimized graph where it can, which compiled nodes prevent."""
    optimized = folder / "optimized.onnx"
    if artifact.bytes <= _LARGEST_WRITTEN:
        settings = _settings(ort, backend, options, folder)
        settings.optimized_model_filepath = str(optimized)
        try:
            return open_session(ort, artifact, backend, settings), optimized
        except RuntimeLoadError:
            optimized.unlink(missing_ok=True)
    return open_session(ort, artifact, backend, _settings(ort, backend, options, folder)), None


def _settings(ort: Any, backend: Backend, options: RunOptions, folder: Path) -> Any:
    settings = session_options(ort, backend, options)
    settings.enable_profiling = True
    settings.profile_file_prefix = str(folder / "profile")
    return settings


def _nodes(events: list[Event], origins: Origins, backend: Backend) -> Iterator[ExecutedNode]:
    samples: dict[Key, list[int]] = defaultdict(list)
    example: dict[Key, Event] = {}
    for run in list(_runs(events))[1:]:
        for key, (microseconds, event) in _self_times(run).items():
            samples[key].append(microseconds)
            example.setdefault(key, event)
    for key, values in samples.items():
        yield _node(key, int(statistics.median(values) * 1000), example[key]["args"], origins, backend)


def _runs(events: list[Event]) -> Iterator[list[Event]]:
    """Split the events of kernels by inference: the end of each is recorded after its kernels."""
    kernels: list[Event] = []
    for event in events:
        if event.get("name") == "model_run":
            yield kernels
            kernels = []
        elif event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            kernels.append(event)


def _self_times(run: list[Event]) -> dict[Key, tuple[int, Event]]:
    """Sum the microseconds of each kernel in one inference, less those of kernels inside it."""
    times: dict[Key, tuple[int, Event]] = {}
    pending: list[tuple[int, Key]] = []
    for event in sorted(run, key=lambda item: (item["ts"], -item["dur"])):
        key = (event["name"].removesuffix(_KERNEL), event["args"]["op_name"], event["args"].get("node_index", ""))
        while pending and pending[-1][0] <= event["ts"]:
            pending.pop()
        if pending:
            _add(times, pending[-1][1], -event["dur"], event)
        _add(times, key, event["dur"], event)
        pending.append((event["ts"] + event["dur"], key))
    return times


def _add(times: dict[Key, tuple[int, Event]], key: Key, microseconds: int, event: Event) -> None:
    before, first = times.get(key, (0, event))
    times[key] = (before + microseconds, first)


def _node(key: Key, nanoseconds: int, args: dict[str, Any], origins: Origins, backend: Backend) -> ExecutedNode:
    name, operator, _ = key
    blocked = name.endswith("_nchwc") or operator == "ReorderInput"
    origin = origins.of(name)
    return ExecutedNode(
        name=name,
        operator=operator,
        nanoseconds=max(0, nanoseconds),
        precision=_precision(args),
        layout=_layout(args, blocked),
        kernel=f"{operator} (NCHWc)" if blocked else operator,
        placement=spec_of(args.get("provider", backend.provider), backend),
        sources=origin.sources,
        feeds=origin.feeds,
        inserted=origin.inserted,
    )


def _layout(args: dict[str, Any], blocked: bool) -> str:
    """Give the layout of pictures: blocked by channels, or as ONNX states it."""
    if blocked:
        return "nchwc"
    shapes = args.get("output_type_shape") or ()
    return "nchw" if any(len(shape) == 4 for typed in shapes for shape in typed.values()) else ""


def _precision(args: dict[str, Any]) -> str:
    """Give the type that a kernel computes in: that of its first input, else of its first output.

    Kernels that quantize their input by themselves compute in the type of the weights.
    """
    inputs = args.get("input_type_shape")
    if args["op_name"] in _QUANTIZE_INSIDE and inputs:
        inputs = [typed for typed in inputs if "float" not in typed]
    for shapes in (inputs, args.get("output_type_shape")):
        for typed in shapes or ():
            for element in typed:
                return _PRECISIONS.get(element) or str(element.replace("uint", "u").replace("int", "i"))
    return ""
