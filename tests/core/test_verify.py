"""Verification on a real runtime: what a pass breaks is found, and named."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from studio.core.artifact import Artifact, open_artifact
from studio.core.device import Device
from studio.core.errors import PassError, RuntimeLoadError, UsageError, VerificationError
from studio.core.modelfile import read_proto, write_proto
from studio.core.modelinfo import model_inputs
from studio.core.params import Params
from studio.core.passes import Family, Pass, PassContext, PassResult, Survey
from studio.core.place import Place
from studio.core.recipe import Recipe, Step
from studio.core.registry import Registry
from studio.core.runner import StepRecord, Work, resolve_recipe, run_step
from studio.core.scope import Scope
from studio.core.synthetic import synthetic_dataset
from studio.core.verify import Check, order_places, verify
from studio.locations import load_registry
from tests import models


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture(scope="module")
def places(registry: Registry) -> tuple[Place, ...]:
    found = tuple(Place(runtime, device) for runtime in registry.runtimes() for device in runtime.devices())
    return order_places(found, None)


@pytest.fixture(params=["together", "in turn"], autouse=True)
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large models are loaded one after the other, from copies: what is found must be the same."""
    if request.param == "in turn":
        monkeypatch.setattr("studio.core.verify.TOGETHER", 0)


class Edit(Pass):
    """A pass that changes the model as a test says."""

    id: ClassVar[str] = "test.edit"
    title: ClassVar[str] = "Edit"
    family: ClassVar[Family] = "graph"
    exact: ClassVar[bool] = True

    def __init__(self, change: Any) -> None:
        self.change = change

    def survey(self, model: Any, params: Params, device: Device | None, scope: Scope) -> Survey:
        return Survey(applies=True, summary="everything")

    def apply(self, artifact: Artifact, params: Params, context: PassContext) -> PassResult:
        proto = onnx.load(str(artifact.path))
        self.change(proto)
        return PassResult(artifact=write_proto(proto, context.workdir / "model.onnx"))


def weight(proto: onnx.ModelProto, name: str) -> tuple[onnx.TensorProto, np.ndarray[Any, np.dtype[Any]]]:
    tensor = next(item for item in proto.graph.initializer if item.name == name)
    return tensor, numpy_helper.to_array(tensor).copy()


def scale(name: str, factor: float) -> Any:
    def change(proto: onnx.ModelProto) -> None:
        tensor, values = weight(proto, name)
        tensor.CopyFrom(numpy_helper.from_array(values * np.float32(factor), name))

    return change


def run(
    change: Any,
    source: Artifact,
    places: tuple[Place, ...],
    folder: Path,
    *,
    exact: bool = True,
    step: Step | None = None,
) -> StepRecord:
    the_pass = Edit(change)
    if not exact:
        the_pass.exact = False  # type: ignore[misc]
    for name in ("out", "probe"):
        (folder / name).mkdir()
    dataset = synthetic_dataset(model_inputs(read_proto(source.path)), 16, 1)
    check = Check(places=places, dataset=dataset, workdir=folder / "probe")
    return run_step(
        the_pass, step or Step(pass_id="test.edit"), source, Work(PassContext(workdir=folder / "out"), check)
    )


@pytest.fixture
def source(tmp_path: Path) -> Artifact:
    return open_artifact(models.save(models.cnn(), tmp_path / "in" / "model.onnx"))


def test_rounding_passes_and_is_recorded(source: Artifact, places: tuple[Place, ...], tmp_path: Path) -> None:
    record = run(scale("w1", 1 + 1e-6), source, places, tmp_path)
    assert record.verification is not None
    assert record.verification.exact
    assert record.verification.sqnr_db is not None
    assert record.verification.sqnr_db > 90
    assert record.verification.synthetic
    assert record.verification.runtime == places[0].spec
    assert record.provenance == {name: (name,) for name in ("conv", "relu", "pool", "flatten", "fc")}
    assert not record.unchanged


@pytest.mark.parametrize(("name", "node"), [("w1", "conv"), ("w2", "fc")])
def test_the_first_diverging_node_is_named(
    name: str, node: str, source: Artifact, places: tuple[Place, ...], tmp_path: Path
) -> None:
    with pytest.raises(VerificationError, match=f"first node that diverges is '{node}'"):
        run(scale(name, 1.5), source, places, tmp_path)
    assert open_artifact(source.path) == source


def test_an_inexact_pass_may_differ_but_not_give_nan(
    source: Artifact, places: tuple[Place, ...], tmp_path: Path
) -> None:
    record = run(scale("w2", 1.5), source, places, tmp_path, exact=False)
    assert record.verification is not None
    assert record.verification.sqnr_db == pytest.approx(6.0, abs=2)
    (tmp_path / "again").mkdir()
    with pytest.raises(VerificationError, match="NaN or infinity"):
        run(scale("w1", float("nan")), source, places, tmp_path / "again", exact=False)


def test_garbage_is_called_so(source: Artifact, places: tuple[Place, ...], tmp_path: Path) -> None:
    record = run(scale("w2", -30), source, places, tmp_path, exact=False)
    assert any("nothing in common" in warning for warning in record.warnings)


def test_another_output_shape(source: Artifact, places: tuple[Place, ...], tmp_path: Path) -> None:
    def widen(proto: onnx.ModelProto) -> None:
        for name in ("w2", "b2"):
            tensor, values = weight(proto, name)
            tensor.CopyFrom(numpy_helper.from_array(np.concatenate([values, values], axis=-1), name))
        proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 6

    with pytest.raises(VerificationError, match="changed its shape"):
        run(widen, source, places, tmp_path, exact=False)


def test_another_interface(source: Artifact, places: tuple[Place, ...], tmp_path: Path) -> None:
    def rename(proto: onnx.ModelProto) -> None:
        proto.graph.output[0].name = proto.graph.node[-1].output[0] = "scores"

    with pytest.raises(VerificationError, match="changed the output 'logits'"):
        run(rename, source, places, tmp_path)


def test_an_invalid_model(source: Artifact, places: tuple[Place, ...], tmp_path: Path) -> None:
    def break_it(proto: onnx.ModelProto) -> None:
        proto.graph.node[1].input[0] = "nowhere"

    with pytest.raises(VerificationError, match=r"made an invalid model.*'nowhere'"):
        run(break_it, source, places, tmp_path)


def test_an_operator_that_no_runtime_has(source: Artifact, places: tuple[Place, ...], tmp_path: Path) -> None:
    def replace(proto: onnx.ModelProto) -> None:
        proto.graph.node[1].op_type = "Wiggle"
        proto.graph.node[1].domain = "com.nobody"
        proto.opset_import.append(helper.make_opsetid("com.nobody", 1))

    with pytest.raises(RuntimeLoadError, match="Wiggle"):
        run(replace, source, places, tmp_path)


def test_a_pass_that_fails_or_touches_its_source(source: Artifact, places: tuple[Place, ...], tmp_path: Path) -> None:
    def fail(proto: onnx.ModelProto) -> None:
        raise ZeroDivisionError("by design")

    def touch(proto: onnx.ModelProto) -> None:
        source.path.write_bytes(source.path.read_bytes() + b"\x72\x00")

    with pytest.raises(PassError, match=r"test\.edit failed: ZeroDivisionError: by design"):
        run(fail, source, places, tmp_path)
    (tmp_path / "again").mkdir()
    with pytest.raises(PassError, match="modified its source"):
        run(touch, source, places, tmp_path / "again")


def test_nothing_to_do_needs_no_verification(source: Artifact, places: tuple[Place, ...], tmp_path: Path) -> None:
    class Idle(Edit):
        def apply(self, artifact: Artifact, params: Params, context: PassContext) -> PassResult:
            return PassResult(artifact=artifact, warnings=("nothing to do",))

    dataset = synthetic_dataset(model_inputs(read_proto(source.path)), 4, 1)
    work = Work(PassContext(workdir=tmp_path), Check(places=places, dataset=dataset, workdir=tmp_path))
    record = run_step(Idle(None), Step(pass_id="test.edit"), source, work)
    assert record.unchanged
    assert record.verification is None
    assert record.warnings == ("nothing to do",)


def test_a_scope_that_names_no_node(source: Artifact, places: tuple[Place, ...], tmp_path: Path) -> None:
    step = Step(pass_id="test.edit", scope=Scope(names=("convv",)))
    with pytest.raises(UsageError, match="'convv'") as caught:
        run(scale("w1", 1), source, places, tmp_path, step=step)
    assert "'conv'" in caught.value.hint


def test_external_weights(places: tuple[Place, ...], tmp_path: Path) -> None:
    source = open_artifact(models.save_external(models.cnn(), tmp_path / "in" / "model.onnx"))
    with pytest.raises(VerificationError, match="'fc'"):
        run(scale("w2", 2), source, places, tmp_path)


@pytest.mark.parametrize("shape", [[4, 8], [1, 8]])
def test_fixed_batches(shape: list[int], places: tuple[Place, ...], tmp_path: Path) -> None:
    proto = models.mlp()
    for value, size in ((proto.graph.input[0], 8), (proto.graph.output[0], 4)):
        value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, [shape[0], size]))
    record = run(scale("w1", 1 + 1e-6), open_artifact(models.save(proto, tmp_path / "in" / "m.onnx")), places, tmp_path)
    assert record.verification is not None
    assert record.verification.samples == 16


def test_several_inputs_and_a_subgraph(places: tuple[Place, ...], tmp_path: Path) -> None:
    source = open_artifact(models.save(models.branching(), tmp_path / "in" / "m.onnx"))
    record = run(lambda proto: setattr(proto, "producer_name", "test"), source, places, tmp_path)
    assert record.verification is not None
    assert record.verification.identical


def test_the_wanted_device_comes_first(places: tuple[Place, ...]) -> None:
    last = places[-1]
    ordered = order_places(places, last.device)
    assert ordered[0] == last
    assert len({place.runtime.id for place in ordered}) == len(ordered)


def test_verifying_without_a_runtime(source: Artifact, tmp_path: Path) -> None:
    dataset = synthetic_dataset(model_inputs(read_proto(source.path)), 4, 1)
    with pytest.raises(RuntimeLoadError, match="No runtime"):
        verify(source, source, Check(places=(), dataset=dataset, workdir=tmp_path), exact=True)


def test_recipes_are_resolved_and_their_order_checked(registry: Registry) -> None:
    whole = resolve_recipe(Recipe(steps=(Step(pass_id="prune.unstructured"),)), registry.get_pass)
    assert whole.steps[0].params["sparsity"] == 0.5
    wrong = Recipe(steps=(Step(pass_id="quantize.static"), Step(pass_id="quantize.dynamic")))
    with pytest.raises(UsageError, match=r"quantize\.dynamic cannot stand here"):
        resolve_recipe(wrong, registry.get_pass)
    with pytest.raises(UsageError, match="version 99"):
        resolve_recipe(Recipe(steps=(Step(pass_id="graph.clean", version=99),)), registry.get_pass)
