"""A Chrome trace that Perfetto opens."""

from __future__ import annotations

import json

from studio.core.tracefile import chrome_trace
from tests.core.diagnosis.layers import layer, side


def test_one_track_for_each_device_and_kernels_end_to_end() -> None:
    profile = side(layer("a", 1.0), layer("b", 2.0, placement="simulated:CPU"), layer("c", 0.5), clean=3.7).profile
    events = json.loads(json.dumps(chrome_trace([profile, profile])))["traceEvents"]
    names = {(event["pid"], event["tid"]): event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert [names[1, track] for track in (1, 2, 3)] == [
        "onnxruntime:CPU",
        "simulated:CPU",
        "clean latency (counters off)",
    ]
    kernels = [event for event in events if event["ph"] == "X" and event["pid"] == 1]
    assert [(event["ts"], event["dur"], event["tid"]) for event in kernels] == [
        (0.0, 1000.0, 1),
        (1000.0, 2000.0, 2),
        (3000.0, 500.0, 1),
        (0.0, 3700.0, 3),
    ]
    assert {event["pid"] for event in events} == {1, 2}
    assert all({"name", "ph", "pid", "tid", "args"} <= set(event) for event in events)
