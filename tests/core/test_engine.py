"""The engine that passes run models with, on the real runtimes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from studio.core import engine as engine_module
from studio.core.artifact import Artifact, open_artifact
from studio.core.dataset import Batch, Dataset
from studio.core.engine import Engine
from studio.core.errors import Cancelled, RuntimeLoadError
from studio.core.place import Place
from studio.core.registry import scan
from studio.core.report import SilentReporter

ROOT = Path(__file__).parents[2]
WEIGHT = np.arange(12, dtype=np.float32).reshape(4, 3)


class Numbers(Dataset):
    """Seven samples of four numbers."""

    name, samples = "numbers", 7
    values = np.arange(28, dtype=np.float32).reshape(7, 4) - 9

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        for start in range(0, min(limit or 7, 7), size):
            yield Batch(start, {"x": self.values[start : min(start + size, limit or 7)]})

    def digest(self) -> str:
        return "numbers"


def places(*names: str) -> tuple[Place, ...]:
    registry = scan(ROOT / "plugins", extra=[ROOT / "tests" / "fixtures" / "plugins"])
    runtimes = [registry.get_runtime(name) for name in names]
    return tuple(Place(runtime, runtime.devices()[0]) for runtime in runtimes)


def model(folder: Path, batch: int | str = "batch") -> Artifact:
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["inner"]),
            helper.make_node("Relu", ["inner"], ["positive"]),
            helper.make_node("Neg", ["positive"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 3])],
        [numpy_helper.from_array(WEIGHT, "w")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(proto, folder / "model.onnx")
    return open_artifact(folder / "model.onnx")


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("batch", ["batch", 3])
def test_inner_tensors_of_every_sample_and_no_filler(tmp_path: Path, runtime: str, batch: int | str) -> None:
    artifact = model(tmp_path, batch)
    found = list(
        Engine(places(runtime), tmp_path).activations(artifact, ["inner", "x", "y"], Numbers(), limit=5, batch=2)
    )
    assert sum(samples for samples, _ in found) == 5
    inner = np.concatenate([arrays["inner"] for _, arrays in found])
    np.testing.assert_allclose(inner, Numbers.values[:5] @ WEIGHT, rtol=1e-5)
    np.testing.assert_array_equal(np.concatenate([arrays["x"] for _, arrays in found]), Numbers.values[:5])
    np.testing.assert_allclose(np.concatenate([a["y"] for _, a in found]), -np.maximum(inner, 0), rtol=1e-5)


def test_tensors_beyond_the_budget_come_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = model(tmp_path)
    monkeypatch.setattr(engine_module, "BUDGET", 24)
    found = list(Engine(places("onnxruntime"), tmp_path).activations(artifact, ["inner", "positive", "y"], Numbers()))
    assert {frozenset(arrays) for _, arrays in found} == {frozenset({"inner", "positive"}), frozenset({"y"})}
    values = {name: [arrays[name] for _, arrays in found if name in arrays] for name in ("inner", "positive", "y")}
    assert all(sum(len(part) for part in parts) == 7 for parts in values.values())
    assert all(sum(array.nbytes for array in arrays.values()) <= 24 for _, arrays in found)


def test_tensors_asked_for_together_come_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "BUDGET", 24)
    tensors = ["inner", "positive", "y"]
    found = list(
        Engine(places("onnxruntime"), tmp_path).activations(model(tmp_path), tensors, Numbers(), batch=3, together=True)
    )
    assert [samples for samples, _ in found] == [3, 3, 1]
    assert all(set(arrays) == set(tensors) for _, arrays in found)


def test_the_input_alone_can_be_asked_for(tmp_path: Path) -> None:
    found = list(Engine(places("onnxruntime"), tmp_path).activations(model(tmp_path), ["x"], Numbers()))
    np.testing.assert_array_equal(np.concatenate([arrays["x"] for _, arrays in found]), Numbers.values)


def test_an_unknown_tensor_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match=r"iner.*inner"):
        next(Engine(places("onnxruntime"), tmp_path).activations(model(tmp_path), ["iner"], Numbers()))


def test_nothing_is_left_behind_and_stopping_is_heard(tmp_path: Path) -> None:
    class Stop(SilentReporter):
        def check(self) -> None:
            raise Cancelled

    artifact, workdir = model(tmp_path), tmp_path / "work"
    workdir.mkdir()
    with pytest.raises(Cancelled):
        next(Engine(places("onnxruntime"), workdir, Stop()).activations(artifact, ["y"], Numbers()))
    list(Engine(places("onnxruntime"), workdir).activations(artifact, ["y"], Numbers()))
    assert not list(workdir.iterdir())


def test_the_first_place_that_can_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulated, good = places("simulated", "openvino")
    lost = Place(simulated.runtime, next(d for d in simulated.runtime.devices() if d.id == "SIM.GPU.1"))
    (tmp_path / "lost").touch()
    monkeypatch.setenv("BURNISH_SIM_LOST", str(tmp_path / "lost"))
    with Engine([lost, good], tmp_path).load(model(tmp_path)) as loaded:
        assert loaded.run({"x": Numbers.values})["y"].shape == (7, 3)
    with pytest.raises(RuntimeLoadError), Engine([lost], tmp_path).load(model(tmp_path)):
        pass
    with pytest.raises(RuntimeLoadError, match="No runtime"), Engine([], tmp_path).load(model(tmp_path)):
        pass
