"""Build small models, apply a pass to them, and check what every pass promises."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from studio.api import Artifact, PassContext, PassResult, Scope, Survey, open_artifact, read_model
from studio.core.engine import Engine
from studio.core.params import parse_params
from studio.core.place import Place
from studio.core.recipe import Step
from studio.core.registry import scan
from studio.core.runner import StepRecord, Work, resolve_step, run_step
from studio.core.verify import Check, order_places
from studio.jobs.tasks.surroundings import generate

ROOT = Path(__file__).parents[3]
REGISTRY = scan(ROOT / "plugins")
FLOAT = onnx.TensorProto.FLOAT
Shape = Sequence[int | str] | None
Value = tuple[str, Shape] | tuple[str, Shape, int]


def weight(*shape: int, seed: int = 0, dtype: Any = np.float32) -> NDArray[Any]:
    """Give normal random weights."""
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """Make a node; inputs and outputs are names with blanks between, ``-`` for one left out."""
    names = [[name.replace("-", "") for name in text.split()] for text in (inputs, outputs)]
    return helper.make_node(operator, names[0], names[1], **attributes)


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    weights: Mapping[str, Any] | None = None,
    name: str = "main",
) -> onnx.GraphProto:
    """Make a graph; a value is ``(name, shape)`` of float32, or ``(name, shape, type)``;
    an output of shape None is declared as inference finds it."""
    tensors = [numpy_helper.from_array(np.asarray(array), key) for key, array in (weights or {}).items()]
    return helper.make_graph(list(nodes), name, [_info(v) for v in inputs], [_info(v) for v in outputs], tensors)


def save(
    path: Path, main: onnx.GraphProto, *, opset: int = 17, ir_version: int = 8, functions: Sequence[Any] = ()
) -> Path:
    """Write a model of this graph; it must be valid."""
    opsets = [helper.make_opsetid("", opset), *[helper.make_opsetid(f.domain, 1) for f in functions]]
    model = helper.make_model(main, opset_imports=opsets, ir_version=ir_version, functions=list(functions))
    _fill_in(model.graph, onnx.shape_inference.infer_shapes(model, data_prop=True).graph)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    return path


def run(path: Path, feeds: Mapping[str, NDArray[Any]]) -> list[Any]:
    """Run a model with no optimization of ONNX Runtime's own."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, dict(feeds)))


def survey(pass_id: str, path: Path, scope: Scope | None = None, **params: Any) -> Survey:
    """Survey a model, and see that it is not modified by that."""
    one = REGISTRY.find("pass", pass_id)
    model = read_model(open_artifact(path))
    before = onnx_ir.to_proto(model).SerializeToString(deterministic=True)
    found: Survey = one.survey(model, parse_params(one.Params, params), None, scope or Scope())
    assert onnx_ir.to_proto(model).SerializeToString(deterministic=True) == before
    return found


def apply(
    pass_id: str, path: Path, feeds: Mapping[str, Any] | None, scope: Scope | None = None, **params: Any
) -> tuple[PassResult, onnx.ModelProto]:
    """Apply a pass and check the result: valid, same signature, as surveyed, same numbers, nothing left to do.

    Parameters
    ----------
    feeds
        Inputs on which source and result are run; None where the model cannot be run.
    """
    source = open_artifact(path)
    result = once(pass_id, source, path.parent / "result", scope, **params)
    proto = onnx.load(str(result.artifact.path))
    onnx.checker.check_model(str(result.artifact.path), full_check=True)
    assert signature(proto) == signature(onnx.load(str(path)))
    found = survey(pass_id, path, scope, **params)
    counted = params.get("engine") != "onnxruntime"  # what an engine will fuse is not known before
    assert found.applies or not result.changes
    if not result.changes:
        assert result.artifact == source
        assert result.warnings
        assert found.why_not or not counted
    elif counted:
        assert set(found.nodes) == {change.node for change in result.changes if change.change != "added"}
    if feeds is not None:
        for mine, theirs in zip(run(result.artifact.path, feeds), run(path, feeds), strict=True):
            assert mine.dtype == theirs.dtype
            half = mine.dtype == np.float16
            np.testing.assert_allclose(mine, theirs, rtol=1e-2 if half else 2e-4, atol=1e-3 if half else 2e-5)
    again = once(pass_id, result.artifact, path.parent / "again", scope, **params)
    assert again.artifact == result.artifact
    assert again.changes == ()
    return result, proto


def verified(pass_id: str, path: Path, scope: Scope | None = None, samples: int = 8, **params: Any) -> StepRecord:
    """Apply a pass as a job does: on real runtimes, the result verified against its source."""
    source = open_artifact(path)
    the_pass = REGISTRY.get_pass(pass_id)
    folder = Path(tempfile.mkdtemp(prefix="step-", dir=path.parent))
    (folder / "out").mkdir()
    found = tuple(Place(runtime, device) for runtime in REGISTRY.runtimes() for device in runtime.devices())
    places = order_places(found, None)
    step = resolve_step(the_pass, Step(pass_id=pass_id, params=params, scope=scope or Scope()))
    context = PassContext(workdir=folder / "out", scope=step.scope, engine=Engine(places, folder))
    check = Check(places=places, dataset=generate(source, samples, 1), workdir=folder, samples=samples)
    record = run_step(the_pass, step, source, Work(context, check))
    assert record.unchanged or record.verification is not None
    return record


def once(pass_id: str, source: Artifact, workdir: Path, scope: Scope | None = None, **params: Any) -> PassResult:
    """Apply a pass and check nothing."""
    one = REGISTRY.find("pass", pass_id)
    workdir.mkdir()
    context = PassContext(workdir=workdir, scope=scope or Scope())
    result: PassResult = one.apply(source, parse_params(one.Params, params), context)
    return result


def operators(proto: onnx.ModelProto) -> list[str]:
    """List the operators of the main graph in order."""
    return [one.op_type for one in proto.graph.node]


def array_of(proto: onnx.ModelProto, name: str) -> NDArray[Any]:
    """Give a weight by name."""
    found = next(tensor for tensor in proto.graph.initializer if tensor.name == name)
    return np.asarray(numpy_helper.to_array(found))


def signature(proto: onnx.ModelProto) -> tuple[list[bytes], list[bytes]]:
    """Give inputs and outputs with names, types and shapes; before IR version 4 without listed weights."""
    listed = {tensor.name for tensor in proto.graph.initializer} if proto.ir_version < 4 else set()
    inputs = [value.SerializeToString() for value in proto.graph.input if value.name not in listed]
    return inputs, [value.SerializeToString() for value in proto.graph.output]


def _fill_in(main: onnx.GraphProto, inferred: onnx.GraphProto) -> None:
    """Declare outputs as inference finds them where they were given without a shape."""
    for mine, theirs in zip(main.output, inferred.output, strict=True):
        mine.CopyFrom(theirs)
    for one, other in zip(main.node, inferred.node, strict=True):
        for attribute, known in zip(one.attribute, other.attribute, strict=True):
            if attribute.HasField("g"):
                _fill_in(attribute.g, known.g)


def _info(value: Value) -> onnx.ValueInfoProto:
    kind = value[2] if len(value) == 3 else FLOAT
    if value[1] is None:
        return onnx.ValueInfoProto(name=value[0])
    return helper.make_tensor_value_info(value[0], kind, value[1])
