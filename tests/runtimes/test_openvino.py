"""OpenVINO: fixed shapes for dynamic models, devices that are not here, its messages and properties."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto

from studio.api import Accelerator, LoadedModel, RunOptions, RuntimeLoadError, open_artifact
from tests.runtimes.models import FLOAT, conv, lstm, model, node, random, save, unary, unknown_operator, value
from tests.runtimes.plugins import cpu, module, runtime

GPU = {
    "OPTIMIZATION_CAPABILITIES": ["FP32", "FP16", "INT8", "BIN", "GPU_HW_MATMUL", "EXPORT_IMPORT"],
    "FULL_DEVICE_NAME": "Intel(R) Arc(TM) A770 Graphics (dGPU)",
    "GPU_DEVICE_TOTAL_MEM_SIZE": 2**34,
    "GPU_EXECUTION_UNITS_COUNT": 512,
}


class FakeCore:
    """Enumerates a GPU and an NPU; the NPU's driver fails to answer."""

    available_devices = ("CPU", "NPU", "GPU.0")

    def get_property(self, device: str, name: str) -> Any:
        if device == "CPU":
            return ["FP32", "INT8", "EXPORT_IMPORT"]
        if device == "NPU":
            raise RuntimeError("no driver")
        return GPU[name]


def load(proto: onnx.ModelProto, folder: Path, **options: Any) -> LoadedModel:
    return runtime("openvino").load(save(proto, folder), cpu("openvino"), RunOptions(**options))


def refusal(proto: onnx.ModelProto, folder: Path) -> str:
    path = folder / "wrong.onnx"
    onnx.save(proto, str(path))
    with pytest.raises(RuntimeLoadError) as caught:
        runtime("openvino").load(open_artifact(path), cpu("openvino"), RunOptions())
    return caught.value.message


def test_devices_come_with_what_each_can_tell() -> None:
    gpu, processor, npu = module("openvino", "devices").find_devices(FakeCore())
    assert (gpu.id, gpu.kind, gpu.memory_bytes) == ("GPU.0", "gpu", 2**34)
    assert gpu.precisions == ("FP32", "FP16", "INT8")
    assert gpu.details["execution units"] == "512"
    assert (processor.id, processor.precisions) == ("CPU", ("FP32", "INT8"))
    assert (npu.id, npu.name, npu.precisions) == ("NPU", "NPU", ())


def test_hardware_that_is_not_driven_says_why() -> None:
    core = SimpleNamespace(available_devices=["CPU"])
    intel = Accelerator(kind="gpu", vendor="intel", name="Intel GPU", driver="i915", node="/dev/dri/renderD128")
    cards = [
        intel.model_copy(update={"driver": ""}),
        intel.model_copy(update={"accessible": False}),
        intel,
        intel.model_copy(update={"kind": "npu", "driver": "intel_vpu"}),
        Accelerator(kind="gpu", vendor="nvidia", name="NVIDIA L4"),
    ]
    rows = list(module("openvino", "devices").find_unavailable(core, cards))
    for row, word in zip(rows, ["kernel", "render", "opencl", "npu", "onnxruntime"], strict=True):
        assert word in row.remedy.lower()
    driven = module("openvino", "devices").find_unavailable(FakeCore(), cards[:1])
    assert list(driven) == []


def test_a_dynamic_model_is_compiled_for_the_shapes_it_is_bound_to(tmp_path: Path) -> None:
    with load(conv(), tmp_path) as loaded:
        feeds = {"image": random(2, 3, 8, 8)}
        loaded.bind(feeds)
        (compiled,) = loaded._fixed.values()  # type: ignore[attr-defined]
        assert list(compiled.inputs[0].shape) == [2, 3, 8, 8]
        loaded.run(feeds)
        assert len(loaded._fixed) == 1  # type: ignore[attr-defined]


def test_many_shapes_do_not_each_cost_a_compilation(tmp_path: Path) -> None:
    with load(conv(), tmp_path) as loaded:
        for batch in range(1, 6):
            loaded.run({"image": random(batch, 3, 8, 8)})
        assert len(loaded._fixed) == 2  # type: ignore[attr-defined]


def test_a_model_that_cannot_be_fixed_runs_dynamically(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiling = module("openvino", "compiling")
    compile_ = compiling.Compiler.compile

    def refuse(self: Any, shapes: Any = None, *, counters: bool = False) -> Any:
        if shapes is not None:
            raise RuntimeLoadError("no")
        return compile_(self, counters=counters)

    with load(conv(), tmp_path) as loaded:
        want = loaded.run({"image": random(1, 3, 8, 8)})["logits"]
    monkeypatch.setattr(compiling.Compiler, "compile", refuse)
    with load(conv(), tmp_path) as loaded:
        got = loaded.run({"image": random(1, 3, 8, 8)})["logits"]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_an_npu_waits_for_shapes(tmp_path: Path) -> None:
    import openvino

    model_module = module("openvino", "model")
    npu = cpu("openvino").model_copy(update={"kind": "npu"})
    loaded = model_module.OpenVinoModel(openvino, save(conv(), tmp_path), npu, RunOptions())
    assert loaded._general is None
    for batch in (1, 2, 3):
        loaded.run({"image": random(batch, 3, 8, 8)})
    assert len(loaded._fixed) == 3
    assert loaded._general is None


def test_load_errors_name_operators(tmp_path: Path) -> None:
    assert refusal(unknown_operator(), tmp_path) == "OpenVINO does not support the operator ai.custom.Sparkle."
    two = model([node("Wobble", ["x"], ["z"]), node("Wibble", ["z"], ["y"])], [value("x", [1])], [value("y", [1])])
    assert "the operators Wibble (opset 17), Wobble (opset 17)" in refusal(two, tmp_path)
    wrong = model([node("Add", ["a", "b"], ["y"])], [value("a", [1, 3]), value("b", [1, 4])], [value("y", [1, 3])])
    assert "the operator Add (opset 17) of the node that makes 'y': Argument shapes" in refusal(wrong, tmp_path)
    assert "'x' is of strings" in refusal(unary("Identity", TensorProto.STRING, ["n"]), tmp_path)


def test_a_failing_node_is_named_without_the_engines_own_text(tmp_path: Path) -> None:
    proto = model(
        [node("MatMul", ["a", "b"], ["y"])], [value("a", ["n", "k"]), value("b", ["m", "l"])], [value("y", None)]
    )
    feeds = {"a": random(2, 3), "b": random(4, 3)}
    with load(proto, tmp_path) as loaded:
        for method in (loaded.run, lambda feeds: loaded.bind(feeds)()):
            with pytest.raises(RuntimeLoadError) as caught:
                method(feeds)
            assert "MatMul" in caught.value.message
            assert "incompatible" in caught.value.message
            assert "Exception" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Exception from src/x.cpp:1:\n[GPU] CL_OUT_OF_DEVICE_MEMORY\n", "ran out of memory."),
        ("Exception from src/x.cpp:1:\nZE_RESULT_ERROR_DEVICE_LOST, code 0x70000001\n", "was lost."),
        ("Exception from src/x.cpp:1:\nCheck 'a' failed at src/y.cpp:2:\nOdd thing.\n\n", "Odd thing."),
        ("", "RuntimeError."),
    ],
)
def test_hardware_faults_and_unknown_messages(text: str, said: str) -> None:
    errors = module("openvino", "errors")
    assert errors.run_error(RuntimeError(text), "GPU").message.endswith(said)
    assert errors.load_error(RuntimeError(text), "m.onnx", "GPU").message.endswith(said)


def test_bfloat16_goes_in_and_out(tmp_path: Path) -> None:
    feeds = {"x": np.array([1.5, -2.25, 0.0], ml_dtypes.bfloat16)}
    with load(unary("Relu", TensorProto.BFLOAT16, ["n"]), tmp_path) as loaded:
        assert loaded.inputs[0].dtype == loaded.outputs[0].dtype == "bfloat16"
        loaded.bind(feeds)()
        got = loaded.run(feeds)["y"]
    assert got.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(got.astype(np.float32), [1.5, 0.0, 0.0])


def test_an_unknown_rank_waits_for_shapes(tmp_path: Path) -> None:
    with load(unary("Relu", FLOAT, None), tmp_path) as loaded:
        assert loaded.inputs[0].shape is None
        for shape in ((2,), (2, 3), (2, 3, 4), ()):
            assert loaded.run({"x": np.ones(shape, np.float32)})["y"].shape == shape


def test_properties_are_asked_for_and_read_back(tmp_path: Path) -> None:
    wanted = module("openvino", "options").wanted_properties
    assert wanted(RunOptions()) == {"PERFORMANCE_HINT": "LATENCY", "EXECUTION_MODE_HINT": "ACCURACY"}
    assert wanted(RunOptions(precision="engine")) == {"PERFORMANCE_HINT": "LATENCY"}
    assert wanted(RunOptions(threads=3, streams=2, hint="throughput", precision="bf16", pin=True)) == {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_NUM_THREADS": 3,
        "NUM_STREAMS": 2,
        "INFERENCE_PRECISION_HINT": "bf16",
        "ENABLE_CPU_PINNING": True,
    }
    with load(conv(), tmp_path, threads=4096) as loaded:
        assert ["threads" in text for text in loaded.warnings] == [True]
    with load(conv(), tmp_path, threads=1, precision="f32") as loaded:
        assert loaded.warnings == ()


def test_a_profile_tells_kernels_and_the_nodes_they_execute(tmp_path: Path) -> None:
    with load(conv(), tmp_path, threads=1) as loaded:
        executed = loaded.profile({"image": random(1, 3, 8, 8)}, 10) or ()
    (convolution,) = [item for item in executed if item.operator == "Convolution"]
    assert convolution.sources == ("conv", "relu")
    assert convolution.kernel
    assert convolution.precision == "f32"
    assert convolution.layout
    assert convolution.placement == "openvino:CPU"


def test_names_that_openvino_extends_are_found() -> None:
    originals = module("openvino", "profiling")._originals
    known = {"/layer1/conv": "/layer1/conv", "y": "relu"}
    assert originals("/layer1/conv/WithoutBiases,y,/elsewhere/z", known) == ("/layer1/conv", "relu")


def test_a_recurrent_layer_that_lost_its_name_is_found_and_not_called_inserted(tmp_path: Path) -> None:
    with runtime("openvino").load(save(lstm(), tmp_path), cpu("openvino"), RunOptions()) as loaded:
        executed = loaded.profile({"x": random(5, 2, 2)}, 3) or ()
    assert [item.sources for item in executed if item.operator == "RNNSeq"] == [("lstm",)]
    assert not any(item.inserted for item in executed if item.operator == "RNNSeq")
