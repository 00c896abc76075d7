"""Parts of models, compared with the whole by its own inner tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from studio.api import (
    PassContext,
    PassError,
    PassResult,
    Scope,
    VerificationError,
    open_artifact,
    read_model,
    write_model,
)
from studio.core.place import Place
from studio.core.recipe import Step
from studio.core.runner import Work, run_step
from studio.core.verify import Check, order_places
from studio.jobs.tasks.surroundings import generate
from tests.passes.graph import dynamic
from tests.passes.graph.harness import REGISTRY, graph, node, once, operators, save, survey, verified, weight

ID = "graph.extract"


def parts(record: Any) -> tuple[list[str], list[str], list[str]]:
    proto = onnx.load(str(record.artifact.path))
    inputs = [value.name for value in proto.graph.input]
    return inputs, [value.name for value in proto.graph.output], operators(proto)


def test_a_part_in_the_middle(tmp_path: Path) -> None:
    path = dynamic.encoder(tmp_path / "m.onnx")
    record = verified(ID, path, inputs=("qh",), outputs=("scores", "p"))
    inputs, outputs, kept = parts(record)
    assert (inputs, outputs) == (["qh"], ["scores", "p"])
    assert kept == ["Transpose", "Transpose", "MatMul", "Softmax"]
    assert record.verification is not None
    assert record.verification.identical
    assert record.provenance["scores"] == ("scores",)


def test_weights_stay_and_others_go(tmp_path: Path) -> None:
    record = verified(ID, dynamic.detector(tmp_path / "m.onnx"), inputs=("both",))
    proto = onnx.load(str(record.artifact.path))
    assert [tensor.name for tensor in proto.graph.initializer] == ["w3"]
    assert [change.change for change in record.changes] == ["removed"] * 10


def test_from_the_beginning_to_an_inner_tensor(tmp_path: Path) -> None:
    record = verified(ID, dynamic.detector(tmp_path / "m.onnx"), outputs=("r1",))
    assert parts(record) == (["x"], ["r1"], ["Conv", "Relu"])


def test_an_input_that_is_needed_besides_stays_with_a_warning(tmp_path: Path) -> None:
    record = verified(ID, dynamic.encoder(tmp_path / "m.onnx"), inputs=("ctx",))
    inputs, outputs, _ = parts(record)
    assert (inputs, outputs) == (["ctx", "x"], ["y"])
    assert any("also takes x" in warning for warning in record.warnings)


@pytest.mark.parametrize(
    ("build", "inputs", "outputs"),
    [
        (dynamic.conditional, (), ("q",)),
        (dynamic.conditional, ("q",), ()),
        (dynamic.looping, (), ("y",)),
    ],
)
def test_subgraphs_keep_what_they_read(build: Any, inputs: Any, outputs: Any, tmp_path: Path) -> None:
    path = build(tmp_path / "m.onnx")
    record = verified(ID, path, inputs=inputs, outputs=outputs)
    assert record.unchanged == (build is dynamic.looping)


def test_a_tensor_that_only_a_branch_reads_leads_back_through_it(tmp_path: Path) -> None:
    path = dynamic.conditional(tmp_path / "m.onnx")
    proto = onnx.load(str(path))
    proto.graph.node.insert(0, node("Neg", "x0", "x", name="first"))
    proto.graph.input[0].name = "x0"
    onnx.save(proto, str(path))
    record = verified(ID, path, outputs=("q",))
    assert parts(record)[2] == ["Neg", "If"]


def test_one_output_of_a_node_that_stays_for_another(tmp_path: Path) -> None:
    nodes = [
        node("Split", "x", "a b", axis=0, name="split"),
        node("Neg", "a", "c"),
        node("Mul", "b c", "y", name="mul"),
    ]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (4, 3))], [("y", (2, 3))]), opset=11)
    record = verified(ID, path, inputs=("a",))
    inputs, _, kept = parts(record)
    assert inputs == ["a", "x"]
    assert kept == ["Split", "Neg", "Mul"]


def test_a_recurrent_layer(tmp_path: Path) -> None:
    path = dynamic.recurrent(tmp_path / "m.onnx")
    proto = onnx.load(str(path))
    proto.graph.node.append(node("Relu", "y", "z"))
    proto.graph.output[0].name = "z"
    onnx.save(proto, str(path))
    assert parts(verified(ID, path, outputs=("y",)))[2] == ["LSTM"]


@pytest.mark.parametrize("name", ["light_squeezenet", "light_inception_v1", "light_shufflenet"])
def test_real_graphs(name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes((dynamic.LIGHT / f"{name}.onnx").read_bytes())
    proto = onnx.load(str(path))
    made = [one.output[0] for one in proto.graph.node if one.op_type == "Relu"]
    result = once(ID, open_artifact(path), tmp_path / "out", inputs=(made[0],), outputs=(made[5],))
    onnx.checker.check_model(str(result.artifact.path), full_check=True)


def test_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(dynamic.SAMPLE.read_bytes())
    made = [one.output[0] for one in onnx.load(str(path)).graph.node if one.op_type == "Relu"]
    record = verified(ID, path, inputs=(made[1],), outputs=(made[-1],))
    assert record.verification is not None
    assert record.verification.identical


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"inputs": ("scorse",)}, "Did you mean 'scores'"),
        ({"outputs": ("nothing at all",)}, "no tensor 'nothing at all'"),
        ({"inputs": ("wq",)}, "'wq' is a weight"),
        ({"outputs": ("x",)}, "'x' is not computed"),
        ({"inputs": ("p",), "outputs": ("p",)}, "input and an output"),
        ({"inputs": ("p",), "outputs": ("qh",)}, "No output depends on the tensor 'p'"),
    ],
)
def test_wrong_tensors_are_explained(params: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(PassError) as caught:
        once(ID, open_artifact(dynamic.encoder(tmp_path / "m.onnx")), tmp_path / "out", **params)
    assert said in str(caught.value)
    assert caught.value.hint


def test_a_tensor_of_a_subgraph_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(PassError, match="inside the subgraph 'body'"):
        once(ID, open_artifact(dynamic.looping(tmp_path / "m.onnx")), tmp_path / "out", outputs=("step",))


def test_nothing_to_do_and_no_scope(tmp_path: Path) -> None:
    path = dynamic.encoder(tmp_path / "m.onnx")
    assert not survey(ID, path).applies
    assert once(ID, open_artifact(path), tmp_path / "out").artifact == open_artifact(path)
    assert once(ID, open_artifact(path), tmp_path / "all", inputs=("x",), outputs=("y",)).warnings
    with pytest.raises(PassError, match="scope"):
        once(ID, open_artifact(path), tmp_path / "scope", Scope(names=("query",)), outputs=("p",))
    found = survey(ID, path, outputs=("p",))
    assert found.applies
    assert set(found.nodes) == {"context", "Transpose:back", "Concat:join", "join", "residual", "Unsqueeze:s1"} - {
        "Unsqueeze:s1"
    }


class Damaged(type(REGISTRY.get_pass(ID))):  # type: ignore[misc]
    """Cuts, and then changes a weight."""

    def apply(self, artifact: Any, params: Any, context: PassContext) -> PassResult:
        result = super().apply(artifact, params, context)
        model = read_model(result.artifact)
        import onnx_ir as ir

        model.graph.initializers["w3"].const_value = ir.tensor(weight(1, 8, 1, 1, seed=9))
        written: PassResult = result.model_copy(
            update={"artifact": write_model(model, context.workdir / "damaged.onnx")}
        )
        return written


def test_a_wrong_part_is_found_with_the_node(tmp_path: Path) -> None:
    source = open_artifact(dynamic.detector(tmp_path / "m.onnx"))
    (tmp_path / "out").mkdir()
    found = tuple(Place(runtime, device) for runtime in REGISTRY.runtimes() for device in runtime.devices())
    check = Check(places=order_places(found, None), dataset=generate(source, 2, 1), workdir=tmp_path)
    step = Step(pass_id=ID, params={"inputs": ["both"]})
    with pytest.raises(VerificationError, match="'head'"):
        run_step(Damaged(), step, source, Work(PassContext(workdir=tmp_path / "out"), check))
    assert np.isfinite(check.samples)
