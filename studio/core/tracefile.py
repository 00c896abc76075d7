"""A profile as a Chrome trace: what Perfetto and chrome://tracing open.

The format is "Trace Event Format" (Google, 2016): complete events (``"ph": "X"``) with times in
microseconds, and metadata events that name processes and threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from studio.core.profile import LayerProfile, Profile


def chrome_trace(profiles: Sequence[Profile]) -> dict[str, Any]:
    """Give the document: a process for each model, in it a track for each device, and one for the clean latency.

    Kernels are laid end to end in the order in which they run, each as long as it typically takes: the
    engines run one at a time.
    """
    events = [event for number, profile in enumerate(profiles, 1) for event in _process(number, profile)]
    return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": {"producer": "Burnish"}}


def _process(number: int, profile: Profile) -> Iterator[dict[str, Any]]:
    yield _named("process_name", number, 0, f"{profile.model_name} on {profile.device}")
    places = list(dict.fromkeys(layer.placement or profile.device for layer in profile.layers))
    for track, place in enumerate(places, 1):
        yield _named("thread_name", number, track, place)
    started = 0
    for layer in profile.layers:
        yield _kernel(number, places.index(layer.placement or profile.device) + 1, started, layer)
        started += layer.nanoseconds
    if profile.clean_ns is not None:
        track = len(places) + 1
        yield _named("thread_name", number, track, "clean latency (counters off)")
        yield _complete("inference", "clean", number, track, 0, profile.clean_ns, {"samples": profile.samples})


def _kernel(process: int, track: int, started: int, layer: LayerProfile) -> dict[str, Any]:
    details = {
        "kernel": layer.kernel,
        "precision": layer.precision,
        "layout": layer.layout,
        "inserted": layer.inserted,
        "nodes": list(layer.nodes),
        "source nodes": list(layer.origins),
        "MACs": layer.macs,
        "bytes": layer.bytes,
        "name": layer.name,
    }
    label = f"{layer.operator} {layer.nodes[0] if layer.nodes else layer.name}"
    return _complete(label, layer.kind, process, track, started, layer.nanoseconds, details)


def _complete(
    name: str, category: str, process: int, track: int, started: int, lasted: int, details: dict[str, Any]
) -> dict[str, Any]:
    times = {"ts": started / 1e3, "dur": lasted / 1e3}
    return {"name": name, "cat": category, "ph": "X", "pid": process, "tid": track, **times, "args": details}


def _named(kind: str, process: int, track: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": process, "tid": track, "args": {"name": name}}
