"""What every runtime must do, over all that the bundled plugins and the simulated accelerators register."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from studio.api import (
    Artifact,
    Cancelled,
    Device,
    LoadedModel,
    RunOptions,
    Runtime,
    RuntimeLoadError,
    UsageError,
    as_numpy_dtype,
)
from studio.core.device import find_device
from studio.core.registry import Registry, scan
from tests.runtimes.models import Case, Feeds, cases, conv, random, save, unknown_operator

ROOT = Path(__file__).parents[2]
OPTIONS = RunOptions(threads=1)
#: What an engine's own text looks like; none of it may reach a user.
CHATTER = re.compile(r"ONNXRuntimeError|Exception from|\.(cc|cpp|h):\d+|::\w+\(|Check '|status code")
CASES = cases()


def registry() -> Registry:
    return scan(ROOT / "plugins", extra=[ROOT / "tests" / "fixtures" / "plugins"])


def runtime_ids() -> list[str]:
    found = registry()
    rows = {name: found.plugin_of("runtime", name) for name in found.ids("runtime")}
    return [name for name, row in rows.items() if row.origin == "bundled" or row.name == "simulated"]


@pytest.fixture(scope="module", params=runtime_ids())
def runtime(request: pytest.FixtureRequest) -> Runtime:
    return registry().get_runtime(request.param)


@pytest.fixture
def device(runtime: Runtime) -> Device:
    return runtime.devices()[0]


@pytest.fixture
def loaded(runtime: Runtime, device: Device, tmp_path: Path) -> Iterator[LoadedModel]:
    with runtime.load(save(conv(), tmp_path), device, OPTIONS) as model:
        yield model


def expected(proto: onnx.ModelProto, feeds: Feeds) -> Feeds:
    names = [item.name for item in proto.graph.output]
    return dict(zip(names, ReferenceEvaluator(proto).run(None, dict(feeds)), strict=True))


def check_error(error: RuntimeLoadError) -> None:
    """One sentence of what is wrong, one of what to do, nothing of the engine's own text."""
    assert error.message.endswith(".")
    assert error.hint.endswith((".", "?"))
    assert "\n" not in str(error)
    assert not CHATTER.search(str(error)), str(error)


def test_the_bundled_runtimes_are_registered() -> None:
    assert {"openvino", "onnxruntime", "simulated"} <= set(runtime_ids())


def test_the_manifest_agrees_with_the_object(runtime: Runtime) -> None:
    found = registry()
    assert runtime.id in found.ids("runtime")
    assert runtime.title == found.title("runtime", runtime.id)
    assert re.match(r"\d+\.\d+", runtime.version())


def test_devices_are_unique_resolvable_and_described(runtime: Runtime) -> None:
    devices = runtime.devices()
    assert len({device.spec for device in devices}) == len(devices) > 0
    for device in devices:
        assert device.runtime == runtime.id
        assert find_device(devices, device.spec.upper()) == device
        assert device.name
        assert device.precisions
        if device.kind == "cpu" and device.id == "CPU":
            assert device.cores
            assert device.cores >= 1
            assert device.memory_bytes
            assert device.memory_bytes > 2**28
            assert device.best_instruction_set


def test_what_is_unavailable_has_a_reason_and_a_remedy(runtime: Runtime) -> None:
    for row in runtime.unavailable():
        assert row.runtime == runtime.id
        assert row.name
        assert row.reason.endswith(".")
        assert row.remedy.endswith(".")


def test_every_device_computes_what_the_specification_says(runtime: Runtime, tmp_path: Path) -> None:
    proto, feeds = conv(), {"image": random(2, 3, 8, 8)}
    artifact, want = save(proto, tmp_path), expected(proto, feeds)["logits"]
    for device in runtime.devices():
        tolerance = 1e-5 if "FP32" in device.precisions else 1e-2
        with runtime.load(artifact, device, OPTIONS) as model:
            np.testing.assert_allclose(model.run(feeds)["logits"], want, rtol=tolerance, atol=tolerance)
            assert sum(model.placement.values()) == len(proto.graph.node)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_run_gives_what_the_reference_evaluator_gives(
    runtime: Runtime, device: Device, case: Case, tmp_path: Path
) -> None:
    try:
        model = runtime.load(case.save(tmp_path), device, OPTIONS)
    except RuntimeLoadError as error:
        assert runtime.id in case.optional, error
        check_error(error)
        return
    want = expected(case.proto, case.feeds)
    with model:
        model.bind(case.feeds)()
        got = model.run(case.feeds)
        assert [info.name for info in model.outputs] == list(got) == list(want)
        for info in model.outputs:
            array = got[info.name]
            assert array.shape == want[info.name].shape
            if info.dtype == "object":
                assert array.tolist() == want[info.name].tolist()
            else:
                assert array.dtype == want[info.name].dtype == as_numpy_dtype(info.dtype)
                np.testing.assert_allclose(array, want[info.name], rtol=case.tolerance, atol=case.tolerance)


def test_inputs_and_outputs_are_described_with_dimension_names(loaded: LoadedModel) -> None:
    (image,), (logits,) = loaded.inputs, loaded.outputs
    assert (image.name, image.dtype, image.shape) == ("image", "float32", ("batch", 3, 8, 8))
    assert (logits.name, logits.dtype, logits.shape) == ("logits", "float32", ("batch", 5))


def test_one_model_runs_batches_of_any_size_in_any_order(loaded: LoadedModel) -> None:
    proto = conv()
    for batch in (1, 3, 2, 7, 0, 1):
        feeds = {"image": random(batch, 3, 8, 8, seed=batch)}
        np.testing.assert_allclose(loaded.run(feeds)["logits"], expected(proto, feeds)["logits"], rtol=1e-5, atol=1e-5)


def test_a_bound_call_is_not_disturbed_by_other_runs(loaded: LoadedModel) -> None:
    first, second = {"image": random(1, 3, 8, 8)}, {"image": random(1, 3, 8, 8, seed=9)}
    call = loaded.bind(first)
    call()
    other = loaded.run(second)["logits"]
    call()
    np.testing.assert_array_equal(loaded.run(second)["logits"], other)
    np.testing.assert_allclose(loaded.run(first)["logits"], expected(conv(), first)["logits"], rtol=1e-5, atol=1e-5)


def test_the_caller_owns_the_outputs(loaded: LoadedModel) -> None:
    first = loaded.run({"image": random(1, 3, 8, 8)})["logits"]
    kept = first.copy()
    loaded.run({"image": random(1, 3, 8, 8, seed=5)})
    np.testing.assert_array_equal(first, kept)
    first += 1


@pytest.mark.parametrize(
    ("feeds", "named"),
    [
        ({}, "image"),
        ({"picture": random(1, 3, 8, 8)}, "picture"),
        ({"image": random(1, 3, 8, 8), "more": random(1)}, "more"),
        ({"image": random(1, 3, 8, 8).astype(np.float64)}, "float64"),
        ({"image": random(3, 8, 8)}, "[3, 8, 8]"),
        ({"image": random(1, 2, 8, 8)}, "[1, 2, 8, 8]"),
    ],
    ids=["missing", "unknown", "extra", "dtype", "rank", "size"],
)
@pytest.mark.parametrize("method", ["run", "bind", "profile"])
def test_wrong_feeds_are_refused(loaded: LoadedModel, feeds: Feeds, named: str, method: str) -> None:
    calls: dict[str, Callable[[], object]] = {
        "run": lambda: loaded.run(feeds),
        "bind": lambda: loaded.bind(feeds)(),
        "profile": lambda: loaded.profile(feeds, 1),
    }
    with pytest.raises(RuntimeLoadError) as caught:
        calls[method]()
    assert named in str(caught.value)
    check_error(caught.value)


def test_an_unsupported_operator_is_named(runtime: Runtime, device: Device, tmp_path: Path) -> None:
    with pytest.raises(RuntimeLoadError, match="Sparkle") as caught:
        runtime.load(save(unknown_operator(), tmp_path), device, OPTIONS)
    check_error(caught.value)


def test_a_model_that_is_gone_is_an_error(runtime: Runtime, device: Device, tmp_path: Path) -> None:
    artifact: Artifact = save(conv(), tmp_path)
    artifact.path.unlink()
    with pytest.raises(RuntimeLoadError, match=r"model\.onnx") as caught:
        runtime.load(artifact, device, OPTIONS)
    check_error(caught.value)


def test_an_unknown_device_is_wrong_usage(runtime: Runtime, device: Device, tmp_path: Path) -> None:
    other = device.model_copy(update={"id": "GPX.7"})
    with pytest.raises(UsageError, match=r"GPX\.7"):
        runtime.load(save(conv(), tmp_path), other, OPTIONS)


def test_closing_twice_is_safe_and_a_closed_model_says_so(loaded: LoadedModel) -> None:
    loaded.close()
    loaded.close()
    with pytest.raises(RuntimeLoadError, match="closed"):
        loaded.run({"image": random(1, 3, 8, 8)})


def test_a_profile_leads_back_to_the_nodes_of_the_model(loaded: LoadedModel) -> None:
    executed = loaded.profile({"image": random(1, 3, 8, 8)}, 5)
    assert executed
    names = {"conv", "relu", "pool", "fc"}
    sources = {source for item in executed for source in item.sources}
    assert {"conv", "relu", "fc"} <= sources <= names
    assert all(item.nanoseconds >= 0 and item.placement for item in executed)
    assert sum(item.nanoseconds for item in executed) > 0


def test_every_option_is_honoured_or_said(runtime: Runtime, device: Device, tmp_path: Path) -> None:
    options = RunOptions(threads=2, streams=2, hint="throughput", precision="f32", pin=True)
    feeds = {"image": random(1, 3, 8, 8)}
    with runtime.load(save(conv(), tmp_path), device, options) as model:
        assert all(text.endswith(".") for text in model.warnings)
        np.testing.assert_allclose(model.run(feeds)["logits"], expected(conv(), feeds)["logits"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("requests", [1, 3])
def test_inferences_in_flight_end_and_are_counted(loaded: LoadedModel, requests: int) -> None:
    asked = 0

    def go_on() -> bool:
        nonlocal asked
        asked += 1
        return asked <= 20

    flow = loaded.run_async({"image": random(1, 3, 8, 8)}, requests, go_on)
    assert flow.requests == requests
    assert 20 - requests <= len(flow.latencies_ns) <= 20
    assert min(flow.latencies_ns) > 0
    assert flow.elapsed_ns >= max(flow.latencies_ns) / 2
    assert flow.per_second > 0


def test_stopping_what_is_in_flight_is_told(loaded: LoadedModel) -> None:
    asked = 0

    def go_on() -> bool:
        nonlocal asked
        asked += 1
        if asked > 5:
            raise Cancelled
        return True

    feeds = {"image": random(1, 3, 8, 8)}
    with pytest.raises(Cancelled):
        loaded.run_async(feeds, 2, go_on)
    assert loaded.run(feeds)["logits"].shape == (1, 5)


def test_the_options_that_a_runtime_honours_are_options(runtime: Runtime, device: Device) -> None:
    assert runtime.honours(device) <= set(RunOptions.model_fields)
