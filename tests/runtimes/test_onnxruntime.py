"""ONNX Runtime: its devices under builds that are not installed here, its messages, types, and profile."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto

from studio.api import Accelerator, LoadedModel, RunOptions, RuntimeLoadError, open_artifact
from tests.runtimes.models import FLOAT, conv, loop, model, node, random, save, unary, unknown_operator, value
from tests.runtimes.plugins import cpu, module, runtime

NVIDIA = Accelerator(
    kind="gpu", vendor="nvidia", name="NVIDIA L4", memory_bytes=2**34, details={"compute capability": "8.9"}
)
INTEL_NPU = Accelerator(kind="npu", vendor="intel", name="Intel NPU", node="/dev/accel/accel0")


def engine(*providers: str, plugins: tuple[Any, ...] = ()) -> Any:
    """Stand in for a build of ONNX Runtime."""
    return SimpleNamespace(
        __version__="1.99",
        get_available_providers=lambda: [*providers, "CPUExecutionProvider"],
        get_ep_devices=lambda: list(plugins),
    )


def ep_device(provider: str, hardware: str, description: str = "") -> Any:
    return SimpleNamespace(
        ep_name=provider,
        ep_vendor="Maker",
        ep_metadata={"version": "2.0"},
        device=SimpleNamespace(
            type=SimpleNamespace(name=hardware), vendor="Maker", metadata={"Description": description}
        ),
    )


def load(proto: onnx.ModelProto, folder: Path, **options: Any) -> LoadedModel:
    return runtime("onnxruntime").load(save(proto, folder), cpu("onnxruntime"), RunOptions(**options))


def refusal(proto: onnx.ModelProto, folder: Path) -> str:
    path = folder / "wrong.onnx"
    onnx.save(proto, str(path))
    with pytest.raises(RuntimeLoadError) as caught:
        runtime("onnxruntime").load(open_artifact(path), cpu("onnxruntime"), RunOptions())
    return caught.value.message


def test_each_nvidia_card_is_a_device_before_the_cpu() -> None:
    backends = module("onnxruntime", "backends").find_backends(
        engine("CUDAExecutionProvider", "AzureExecutionProvider"), [NVIDIA, NVIDIA]
    )
    assert [item.device.id for item in backends] == ["CUDA:0", "CUDA:1", "CPU"]
    assert backends[1].options == {"device_id": "1"}
    assert backends[0].device.memory_bytes == 2**34
    assert {"BF16", "FP8", "INT8"} <= set(backends[0].device.precisions)
    assert backends[0].device.fast_int8


def test_plugins_give_a_device_for_each_piece_of_hardware() -> None:
    plugins = (
        ep_device("CPUExecutionProvider", "CPU"),
        ep_device("OpenVINOExecutionProvider", "GPU", "Arc A770"),
        ep_device("OpenVINOExecutionProvider", "GPU", "Iris Xe"),
        ep_device("OpenVINOExecutionProvider", "CPU"),
        ep_device("BrandNewExecutionProvider", "NPU"),
    )
    backends = module("onnxruntime", "backends").find_backends(engine(plugins=plugins), [])
    ids = [item.device.id for item in backends]
    assert ids == ["OPENVINO:GPU", "OPENVINO:GPU.1", "BRANDNEW:NPU", "CPU", "OPENVINO:CPU"]
    assert backends[0].device.name == "Arc A770"
    assert backends[0].ep_device is plugins[1]


def test_an_nvidia_card_without_a_provider_says_what_to_install() -> None:
    rows = list(module("onnxruntime", "backends").find_unavailable(engine(), [NVIDIA, INTEL_NPU], {}))
    assert [row.name for row in rows] == ["NVIDIA L4", "Intel NPU"]
    assert "pip install onnxruntime-gpu" in rows[0].remedy
    assert "onnxruntime-ep-openvino" in rows[1].remedy


def test_a_provider_without_a_card_and_a_plugin_that_fails_are_listed() -> None:
    rows = list(
        module("onnxruntime", "backends").find_unavailable(
            engine("CUDAExecutionProvider"), [], {"onnxruntime-ep-webgpu": "libvulkan.so.1 is missing"}
        )
    )
    assert ["no NVIDIA GPU" in rows[0].reason, "libvulkan" in rows[1].reason] == [True, True]


def test_a_card_that_a_provider_drives_is_not_listed_as_unavailable() -> None:
    found = module("onnxruntime", "backends").find_unavailable(engine("CUDAExecutionProvider"), [NVIDIA], {})
    assert list(found) == []


def test_a_provider_that_does_not_start_is_an_error_not_a_silent_cpu(tmp_path: Path) -> None:
    import onnxruntime

    backends = module("onnxruntime", "backends")
    backend = backends.Backend(cpu("onnxruntime").model_copy(update={"id": "CUDA:0"}), "CUDAExecutionProvider")
    started = SimpleNamespace(
        InferenceSession=lambda *_, **__: SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])
    )
    with pytest.raises(RuntimeLoadError, match="CUDAExecutionProvider did not start"):
        module("onnxruntime", "session").open_session(
            started, save(conv(), tmp_path), backend, onnxruntime.SessionOptions()
        )


def test_nodes_that_fall_back_are_counted_and_named() -> None:
    backends = module("onnxruntime", "backends")
    (cuda, _) = backends.find_backends(engine("CUDAExecutionProvider"), [NVIDIA])

    def part(provider: str, *operators: str) -> Any:
        nodes = [SimpleNamespace(op_type=operator) for operator in operators]
        return SimpleNamespace(ep_name=provider, get_nodes=lambda: nodes)

    parts = [part("CUDAExecutionProvider", "Conv", "Relu"), part("CPUExecutionProvider", "Shape", "Shape", "Loop")]
    session = SimpleNamespace(get_provider_graph_assignment_info=lambda: parts)
    placed, warnings = module("onnxruntime", "session").placement(session, cuda)
    assert placed == {"onnxruntime:CUDA:0": 2, "onnxruntime:CPU": 3}
    assert warnings == ("3 of 5 nodes do not run on CUDA:0 but fall back: Shape (2), Loop (1).",)


def test_load_errors_name_the_operator_and_its_node(tmp_path: Path) -> None:
    kernel = model(
        [node("Conv", ["x", "w"], ["y"], "c1")],
        [value("x", [1, 1, 3, 3], TensorProto.DOUBLE), value("w", [1, 1, 3, 3], TensorProto.DOUBLE)],
        [value("y", [1, 1, 1, 1], TensorProto.DOUBLE)],
    )
    assert refusal(unknown_operator(), tmp_path) == "ONNX Runtime does not know the operator ai.custom:Sparkle."
    assert "operator Wobble (opset 17) of the node 'w1'" in refusal(
        model([node("Wobble", ["x"], ["y"], "w1")], [value("x", [1])], [value("y", [1])]), tmp_path
    )
    assert "no kernel for the operator Conv (opset 11) of the node 'c1'" in refusal(kernel, tmp_path)
    assert "tensor(bfloat16)" in refusal(unary("Sin", TensorProto.BFLOAT16, [1]), tmp_path)


def test_versions_that_are_too_new_are_said(tmp_path: Path) -> None:
    newer = unary("Relu", FLOAT, [1])
    newer.opset_import[0].version = 999
    assert refusal(newer, tmp_path).startswith("The model is of opset 999 of ai.onnx; this ONNX Runtime goes to opset ")
    newer = unary("Relu", FLOAT, [1])
    newer.ir_version = 99
    assert refusal(newer, tmp_path).startswith("The model is of IR version 99; this ONNX Runtime goes to ")


def test_sequences_are_refused(tmp_path: Path) -> None:
    proto = model([node("SequenceConstruct", ["x"], ["y"])], [value("x", [1])], [])
    proto.graph.output.append(onnx.helper.make_tensor_sequence_value_info("y", FLOAT, None))
    assert "'y' is seq(tensor(float)), not a tensor" in refusal(proto, tmp_path)


def test_a_failing_node_is_named_without_the_engines_own_text(tmp_path: Path) -> None:
    proto = model(
        [node("Reshape", ["x", "s"], ["y"], "r1")],
        [value("x", ["n"]), value("s", [1], TensorProto.INT64)],
        [value("y", None)],
    )
    feeds = {"x": random(3), "s": np.array([7])}
    with load(proto, tmp_path) as loaded:
        for call in (lambda: loaded.run(feeds), loaded.bind(feeds)):
            with pytest.raises(RuntimeLoadError) as caught:
                call()
            assert caught.value.message.startswith("The operator Reshape of the node 'r1' failed: The input tensor")
            assert "onnxruntime_src" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[ONNXRuntimeError] : 11 : EP_FAIL : DXGI_ERROR_DEVICE_REMOVED", "The device was lost."),
        ("CUDA failure 2: out of memory ; GPU=0", "The device ran out of memory."),
        ("[ONNXRuntimeError] : 1 : FAIL : Load model from /m.onnx failed:Odd thing\n at x.cc", "Odd thing."),
    ],
)
def test_hardware_faults_and_unknown_messages(text: str, said: str) -> None:
    errors = module("onnxruntime", "errors")
    assert errors.run_error(RuntimeError(text)).message.endswith(said)
    assert errors.load_error(RuntimeError(text), "m.onnx").message.endswith(said)


def test_bfloat16_goes_in_and_out(tmp_path: Path) -> None:
    feeds = {"x": np.array([[1.5, -2.25, 0.0]], ml_dtypes.bfloat16)}
    with load(unary("Identity", TensorProto.BFLOAT16, ["n", 3]), tmp_path) as loaded:
        assert loaded.inputs[0].dtype == "bfloat16"
        loaded.bind(feeds)()
        got = loaded.run(feeds)["y"]
    assert got.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(got.astype(np.float32), [[1.5, -2.25, 0.0]])


def test_external_data_is_found_beside_the_model(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    onnx.save(conv(), str(path), save_as_external_data=True, location="large.data", size_threshold=0)
    feeds = {"image": random(1, 3, 8, 8)}
    with (
        load(conv(), tmp_path) as whole,
        runtime("onnxruntime").load(open_artifact(path), cpu("onnxruntime"), RunOptions()) as split,
    ):
        np.testing.assert_array_equal(whole.run(feeds)["logits"], split.run(feeds)["logits"])


def test_a_profile_counts_fused_nodes_once_and_a_loop_less_its_body(tmp_path: Path) -> None:
    with load(conv(), tmp_path, threads=1) as loaded:
        executed = loaded.profile({"image": random(1, 3, 8, 8)}, 3) or ()
    assert [item.sources for item in executed if item.operator == "Conv"] == [("conv", "relu")]
    assert {item.placement for item in executed} == {"onnxruntime:CPU"}
    assert {item.precision for item in executed} == {"f32"}
    with load(loop(), tmp_path, threads=1) as loaded:
        executed = loaded.profile({"x": random(3), "count": np.array(200)}, 3) or ()
    assert {item.operator for item in executed} >= {"Loop", "Add"}
    assert next(item.sources for item in executed if item.operator == "Loop") == ("loop",)


def test_nested_kernels_are_taken_out_of_their_parent() -> None:
    def event(name: str, start: int, duration: int) -> dict[str, Any]:
        args = {"op_name": name, "node_index": "0"}
        return {"cat": "Node", "name": f"{name}_kernel_time", "ts": start, "dur": duration, "args": args}

    run = [event("Add", 10, 5), event("Add", 20, 7), event("Loop", 5, 30), event("Relu", 35, 4)]
    times = module("onnxruntime", "profiling")._self_times(run)
    assert {key[0]: microseconds for key, (microseconds, _) in times.items()} == {"Loop": 18, "Add": 12, "Relu": 4}


def test_options_that_the_engine_lacks_are_said(tmp_path: Path) -> None:
    with load(
        conv(), tmp_path, threads=(os.cpu_count() or 1) + 1, streams=4, hint="throughput", precision="f16", pin=True
    ) as loaded:
        assert [word for word in ("streams", "throughput", "f16", "pinned") if word in " ".join(loaded.warnings)] == [
            "streams",
            "throughput",
            "f16",
            "pinned",
        ]
    with load(conv(), tmp_path) as loaded:
        assert loaded.warnings == ()
