"""`quantize.weights`: every form of stored weights, in both runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from studio.api import Device, PassContext, PassResult, Scope, Step, open_artifact
from studio.core.params import parse_params
from studio.core.place import Place
from studio.core.runner import Work, run_step
from studio.core.verify import Check
from tests import models
from tests.passes.calibrated import apply
from tests.passes.graph.harness import graph, node, save
from tests.passes.quantize.support import (
    AVX2,
    VNNI,
    Samples,
    get,
    images,
    registry,
    residual_cnn,
    run_onnxruntime,
    run_openvino,
    sentences,
    sqnr,
    survey,
    transformer,
)

PASS = "quantize.weights"
Arrays = dict[str, NDArray[Any]]


def layers(folder: Path, inputs: int = 64, hidden: int = 50, outputs: int = 7, opset: int = 17) -> Path:
    """`x` [batch, inputs] -> MatMul, Relu -> Gemm with every attribute -> MatMul -> `y` [batch, outputs]."""
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["h0"], "first"),
        helper.make_node("Add", ["h0", "b1"], ["h1"], "add"),
        helper.make_node("Relu", ["h1"], ["h2"], "relu"),
        helper.make_node("Gemm", ["h2", "w2", "b2"], ["h3"], "second", transB=1, alpha=0.5, beta=2.0),
        helper.make_node("MatMul", ["h3", "w3"], ["y"], "third"),
    ]
    weights = {
        "w1": random.normal(0, inputs**-0.5, (inputs, hidden)),
        "b1": random.normal(0, 1, hidden),
        "w2": random.normal(0, hidden**-0.5, (64, hidden)),
        "b2": random.normal(0, 1, 64),
        "w3": random.normal(0, 0.125, (64, outputs)),
    }
    arrays = {name: array.astype(np.float32) for name, array in weights.items()}
    proto = models.model(nodes, {"x": ["batch", inputs]}, {"y": ["batch", outputs]}, arrays)
    if opset != 17:
        proto.opset_import[0].version = opset
    return models.save(proto, folder / "m.onnx")


def feeds(inputs: int = 64, count: int = 40) -> Arrays:
    return {"x": np.random.default_rng(9).normal(size=(count, inputs)).astype(np.float32)}


def quality(path: Path, result: PassResult, arrays: Arrays) -> tuple[float, float]:
    """SQNR in ONNX Runtime and in OpenVINO."""
    right = run_onnxruntime(path, arrays)[0]
    outputs = [engine(result.artifact.path, arrays)[0] for engine in (run_onnxruntime, run_openvino)]
    return sqnr(right, outputs[0]), sqnr(right, outputs[1])


#: SQNR that a random network of three layers keeps in blocks of 32; two levels keep the signs
LEAST = {8: 30.0, 4: 13.0, 3: 7.0, 2: 2.0, 1: 0.5}


@pytest.mark.parametrize("form", ["nbits", "qdq", "stored"])
@pytest.mark.parametrize("bits", [8, 4, 3, 2, 1])
def test_every_form_runs_in_both_runtimes(form: str, bits: int, tmp_path: Path) -> None:
    for symmetric, block in ((True, 32), (False, 0)):
        folder = tmp_path / f"{symmetric}{block}"
        folder.mkdir()
        path = layers(folder)
        result, _ = apply(PASS, path, None, form=form, bits=bits, symmetric=symmetric, block=block, min_weights=1)
        here, there = quality(path, result, feeds())
        assert min(here, there) > LEAST[bits] - (2 if not block else 0)
        # Engines differ by how they round activations only.
        outputs = [engine(result.artifact.path, feeds())[0] for engine in (run_onnxruntime, run_openvino)]
        assert sqnr(outputs[0], outputs[1]) > 25
        stored = float(result.notes["stored_bits_per_weight"])
        container = bits if bits in (8, 4) else 2 if form == "nbits" and bits < 3 else 4
        assert container < stored < 1.4 * container + 2.5
        assert (container != bits) == any("are stored in" in warning for warning in result.warnings)


@pytest.mark.parametrize("bits", [8, 4])
def test_the_forms_hold_the_same_weights(bits: int, tmp_path: Path) -> None:
    outputs = []
    for form in ("nbits", "qdq", "stored"):
        folder = tmp_path / form
        folder.mkdir()
        path = layers(folder, inputs=128, hidden=64)
        parameters: dict[str, Any] = {"bits": bits, "compute": "float32", "min_weights": 1, "block": 32}
        result, _ = apply(PASS, path, None, form=form, symmetric=False, **parameters)
        options = {"x": feeds(128)["x"]}
        outputs.append(_exactly(result.artifact.path, options))
    assert min(sqnr(outputs[0], other) for other in outputs[1:]) > 90


def _exactly(path: Path, arrays: Arrays) -> NDArray[Any]:
    """Run without ONNX Runtime's fusions, which round activations."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return np.asarray(ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, arrays)[0])


@pytest.mark.parametrize("form", ["nbits", "qdq", "stored"])
@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1), (17, 3), (50, 2), (257, 4)])
def test_odd_shapes(form: str, shape: tuple[int, int], tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    main = graph(
        [node("MatMul", "x w", "y", name="only")],
        [("x", ("batch", shape[0]))],
        [("y", None)],
        {"w": random.normal(size=shape).astype(np.float32)},
    )
    path = save(tmp_path / "m.onnx", main)
    arrays = {"x": random.normal(size=(30, shape[0])).astype(np.float32)}
    result, _ = apply(PASS, path, None, form=form, bits=8, min_weights=1, symmetric=False)
    assert min(quality(path, result, arrays)) > 30


def test_the_size_is_that_of_the_bits(tmp_path: Path) -> None:
    path = layers(tmp_path, inputs=1024, hidden=512)
    source = open_artifact(path)
    for bits, most in ((8, 0.30), (4, 0.17), (2, 0.11)):
        for form in ("nbits", "qdq") if bits > 2 else ("nbits",):
            params: dict[str, Any] = {"bits": bits, "form": form, "block": 32, "symmetric": False}
            result, _ = apply(PASS, path, None, **params)
            found = survey(PASS, source, **params)
            assert result.artifact.bytes < most * source.bytes
            assert found.size is not None
            assert found.size.low <= result.artifact.bytes / source.bytes <= found.size.high
            assert result.notes["bytes_after"] == result.artifact.bytes


def test_blocks_of_128_in_4_bits_take_a_seventh(tmp_path: Path) -> None:
    path = layers(tmp_path, inputs=1024, hidden=512)
    result, _ = apply(PASS, path, None, block=128)
    assert float(result.notes["stored_bits_per_weight"]) < 4.3
    assert result.artifact.bytes < open_artifact(path).bytes / 7


def test_names_and_changes(tmp_path: Path) -> None:
    path = layers(tmp_path)
    result, proto = apply(PASS, path, None, min_weights=1)
    rewritten = {change.node: change.operator for change in result.changes if change.change == "rewritten"}
    assert rewritten == {"first": "MatMulNBits", "second": "Add", "third": "MatMulNBits"}
    assert [item.op_type for item in proto.graph.node].count("MatMulNBits") == 3
    added = {change.node for change in result.changes if change.change == "added"}
    assert added == {"second_matmulnbits"}
    assert result.provenance == {"second_matmulnbits": ("second",)}
    assert not {"w1", "w2", "w3"} & {item.name for item in proto.graph.initializer}
    assert survey(PASS, open_artifact(path), min_weights=1).nodes == ("first", "second", "third")


def test_int8_with_one_scale_a_channel_needs_opset_13_only(tmp_path: Path) -> None:
    path = layers(tmp_path)
    _, proto = apply(PASS, path, None, form="qdq", bits=8, block=0, min_weights=1)
    assert proto.opset_import[0].version == 17
    result, proto = apply(PASS, path, None, form="qdq", bits=4, min_weights=1)
    assert proto.opset_import[0].version == 21
    assert any("raised from 17 to 21" in warning for warning in result.warnings)
    kinds = {item.data_type for item in proto.graph.initializer}
    assert TensorProto.INT4 in kinds


def test_blocks_that_do_not_divide_a_row(tmp_path: Path) -> None:
    result, proto = apply(PASS, layers(tmp_path), None, form="qdq", bits=4, min_weights=1, block=32)
    assert any("cannot be cut into equal blocks: second" in warning for warning in result.warnings)
    blocks = [{item.name: item.i for item in one.attribute} for one in proto.graph.node if "Dequantize" in one.op_type]
    assert [one.get("block_size") for one in blocks] == [32, None, 32]


@pytest.mark.parametrize("form", ["nbits", "qdq", "stored"])
def test_embeddings(form: str, tmp_path: Path) -> None:
    proto = transformer()
    path = models.save(proto, tmp_path / "m.onnx")
    for bits, least in ((8, 35), (4, 12)):
        result, _ = apply(PASS, path, None, form=form, bits=bits, operators=("Gather",), min_weights=1)
        assert [change.node for change in result.changes if change.change == "rewritten"] == ["embed"]
        assert min(quality(path, result, sentences(8))) > least
        assert (form != "nbits" and bits == 4) == any("Embeddings get 8 bits" in note for note in result.warnings)


def test_an_embedding_of_odd_width_gets_a_scale_a_row(tmp_path: Path) -> None:
    table = np.random.default_rng(0).normal(size=(30, 37)).astype(np.float32)
    main = graph(
        [node("Gather", "table x", "y", name="embed")],
        [("x", (2, 5), TensorProto.INT64)],
        [("y", None)],
        {"table": table},
    )
    path = save(tmp_path / "m.onnx", main)
    result, _ = apply(PASS, path, None, bits=4, operators=("Gather",), min_weights=1)
    picks = {"x": np.array([[0, 1, 2, 3, -1], [29, 28, 5, 5, 5]])}
    assert min(quality(path, result, picks)) > 35


@pytest.mark.parametrize("form", ["nbits", "qdq", "stored"])
def test_convolutions_get_8_bits(form: str, tmp_path: Path) -> None:
    path = models.save(residual_cnn(), tmp_path / "m.onnx")
    result, proto = apply(PASS, path, None, form=form, bits=4, operators=("Conv",), min_weights=1)
    assert min(quality(path, result, images(8))) > 35
    assert any("Convolutions get 8 bits" in warning for warning in result.warnings)
    added = {item.op_type for item in proto.graph.node} & {"DequantizeLinear", "Cast"}
    assert added == ({"DequantizeLinear"} if form == "qdq" else {"Cast"})


def test_a_weight_that_layers_share_is_stored_once(tmp_path: Path) -> None:
    weights = {"w": np.random.default_rng(0).normal(0, 0.2, (32, 32)).astype(np.float32)}
    nodes = [
        node("MatMul", "x w", "a", name="one"),
        node("MatMul", "a w", "b", name="two"),
        node("Transpose", "w", "t", name="turned", perm=[1, 0]),
        node("MatMul", "b t", "y", name="three"),
    ]
    tied = save(tmp_path / "tied.onnx", graph(nodes[:2], [("x", ("batch", 32))], [("b", None)], weights))
    result, proto = apply(PASS, tied, None, bits=8, min_weights=1)
    assert [item.op_type for item in proto.graph.node] == ["MatMulNBits", "MatMulNBits"]
    assert len(proto.graph.initializer) == 2
    arrays = {"x": np.random.default_rng(1).normal(size=(9, 32)).astype(np.float32)}
    assert min(quality(tied, result, arrays)) > 35
    read = save(tmp_path / "read.onnx", graph(nodes, [("x", ("batch", 32))], [("y", None)], weights))
    result, _ = apply(PASS, read, None, bits=8, min_weights=1)
    assert not result.changes
    assert any("shared with a node that keeps it in float: one, two" in warning for warning in result.warnings)


def test_what_is_left_alone(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    bad = random.normal(size=(16, 16)).astype(np.float32)
    bad[3, 3] = np.inf
    nodes = [
        node("MatMul", "x stack", "a", name="batched"),
        node("MatMul", "left a", "b", name="left"),
        node("MatMul", "b bad", "c", name="odd"),
        node("MatMul", "c c", "d", name="both"),
        node("Transpose", "w", "t", name="turned", perm=[1, 0]),
        node("MatMul", "d t", "e", name="computed"),
        node("MatMul", "e w2", "y", name="good"),
    ]
    weights: Arrays = {"stack": random.normal(size=(2, 16, 16)), "left": random.normal(size=(16, 16)), "bad": bad}
    weights |= {"w": random.normal(size=(16, 16)), "w2": random.normal(size=(16, 16))}
    arrays = {name: array.astype(np.float32) for name, array in weights.items()}
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 16, 16))], [("y", None)], arrays))
    result, _ = apply(PASS, path, None, min_weights=1)
    assert [change.node for change in result.changes] == ["good"]
    text = " ".join(result.warnings)
    for reason in ("stack of matrices: batched", "left operand: left", "not finite: odd"):
        assert reason in text
    assert "both" not in text


def test_inputs_of_three_dimensions_and_both_branches(tmp_path: Path) -> None:
    path = models.save(transformer(), tmp_path / "m.onnx")
    result, _ = apply(PASS, path, None, bits=8, min_weights=1)
    assert min(quality(path, result, sentences(8))) > 30
    path = models.save(models.branching(), tmp_path / "b.onnx")
    result, _ = apply(PASS, path, None, bits=8, min_weights=1)
    for branch in (True, False):
        arrays = {"x": np.random.default_rng(0).normal(0, 1, (1, 8)).astype(np.float32), "b": np.array(branch)}
        assert quality(path, result, arrays)[0] > 30


def test_nothing_to_do(tmp_path: Path) -> None:
    path = layers(tmp_path)
    result, _ = apply(PASS, path, None, operators=("Conv",))
    assert result.artifact == open_artifact(path)
    assert "no Conv with constant float32 weights" in result.warnings[0]
    first, _ = apply(PASS, path, None, min_weights=1)
    again = tmp_path / "again"
    again.mkdir()
    quantized = again / "m.onnx"
    quantized.write_bytes(first.artifact.path.read_bytes())
    second, _ = apply(PASS, quantized, None)
    assert not second.changes
    assert "quantized already" in second.warnings[0]
    assert get(PASS).refuses((Step(pass_id="quantize.dynamic"),))


def test_scope(tmp_path: Path) -> None:
    result, proto = apply(PASS, layers(tmp_path), None, scope=Scope(exclude=("second",)), min_weights=1)
    assert {"w2"} & {item.name for item in proto.graph.initializer}
    assert {change.node for change in result.changes} == {"first", "third"}


@pytest.mark.parametrize("form", ["nbits", "qdq", "stored"])
def test_results_pass_verification_in_the_runner(form: str, tmp_path: Path) -> None:
    source = open_artifact(layers(tmp_path))
    workdir, probe = tmp_path / "work", tmp_path / "probe"
    workdir.mkdir()
    probe.mkdir()
    places = tuple(Place(runtime, runtime.devices()[0]) for runtime in registry().runtimes())
    check = Check(places=places, dataset=Samples(feeds()), workdir=probe)
    context = PassContext(workdir=workdir, device=AVX2)
    params = {"form": form, "bits": 8, "min_weights": 1}
    record = run_step(get(PASS), Step(pass_id=PASS, params=params), source, Work(context, check))
    assert record.verification is not None
    assert record.verification.sqnr_db is not None
    assert record.verification.sqnr_db > 35
    assert not [warning for warning in record.warnings if "cannot load" in warning]
    products = [item.name for item in onnx.load(str(record.artifact.path)).graph.node if "MatMul" in item.op_type]
    assert products and all(record.provenance[name] for name in products)


def test_expectations_by_instruction_set(tmp_path: Path) -> None:
    source = open_artifact(layers(tmp_path))
    plain, dotted = (survey(PASS, source, device=device, min_weights=1).speed for device in (AVX2, VNNI))
    assert plain is not None and dotted is not None
    assert plain.high < dotted.high
    assert "without VNNI" in plain.reason
    assert survey(PASS, source, device=None, min_weights=1).speed is None
    stored = survey(PASS, source, device=VNNI, form="stored", min_weights=1).speed
    assert stored is not None and stored.high < 1.1
    slow = survey(PASS, source, device=VNNI, bits=8, compute="float32", min_weights=1).speed
    assert slow is not None and slow.high < 1
    gpu = Device(runtime="openvino", id="GPU", name="some GPU", kind="gpu")
    graphics = survey(PASS, source, device=gpu, min_weights=1).speed
    assert graphics is not None and "some GPU" in graphics.reason


def test_data_is_needed_by_some_methods_only() -> None:
    one = get(PASS)
    needs = {method: bool(one.needs_for(parse_params(one.Params, {"method": method}))) for method in _METHODS}
    assert needs == {"rtn": False, "hqq": False, "gptq": True, "awq": True}


_METHODS = ("rtn", "hqq", "gptq", "awq")


def test_memory_does_not_grow_with_the_number_of_layers(tmp_path: Path) -> None:
    import tracemalloc

    peaks = []
    for count in (2, 10):
        random = np.random.default_rng(0)
        names = [f"x{index}" for index in range(count + 1)]
        nodes = [node("MatMul", f"{names[at]} w{at}", names[at + 1], name=f"layer{at}") for at in range(count)]
        weights = {f"w{at}": random.normal(0, 0.05, (512, 512)).astype(np.float32) for at in range(count)}
        folder = tmp_path / str(count)
        folder.mkdir()
        main = graph(nodes, [("x0", ("batch", 512))], [(names[-1], None)], weights)
        path = models.save(
            helper.make_model(main, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "m.onnx"
        )
        del weights, main
        one, artifact = get(PASS), open_artifact(path)
        work = folder / "own"
        work.mkdir()
        params = parse_params(one.Params, {"search": False, "bits": 8})
        tracemalloc.start()
        one.apply(artifact, params, PassContext(workdir=work))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + (2 << 20), "eight more layers of a megabyte each"
