"""Apply passes that look at data, on the real runtime, and compare what comes out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from studio.api import Batch, Dataset, Device, PassContext, PassResult, Reporter, Scope, open_artifact
from studio.core.engine import Engine
from studio.core.params import parse_params
from studio.core.place import Place
from studio.core.report import SilentReporter
from tests.passes.graph.harness import REGISTRY, run, signature

CPU = Device(runtime="onnxruntime", id="CPU", name="cpu", kind="cpu", instruction_sets=("AVX2",))


class Samples(Dataset):
    """Arrays in memory."""

    def __init__(self, synthetic: bool = False, **arrays: NDArray[Any]) -> None:
        self.name, self.arrays, self.synthetic = "samples", arrays, synthetic
        self.samples = len(next(iter(arrays.values())))

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        end = min(self.samples, limit if limit is not None else self.samples)
        for first in range(0, end, size):
            yield Batch(first, {name: array[first : min(end, first + size)] for name, array in self.arrays.items()})

    def digest(self) -> str:
        return hashlib.sha256(b"".join(array.tobytes() for array in self.arrays.values())).hexdigest()


def apply(
    pass_id: str,
    path: Path,
    data: Dataset | None,
    *,
    scope: Scope | None = None,
    reporter: Reporter | None = None,
    **params: Any,
) -> tuple[PassResult, onnx.ModelProto]:
    """Apply a pass with an engine, and check: valid, same signature, source untouched, nothing left behind."""
    one = REGISTRY.find("pass", pass_id)
    number = len(list(path.parent.glob("work*")))
    workdir, probes = path.parent / f"work{number}", path.parent / f"probes{number}"
    workdir.mkdir()
    probes.mkdir()
    runtime = REGISTRY.get_runtime("onnxruntime")
    before = path.read_bytes()
    context = PassContext(
        workdir=workdir,
        scope=scope or Scope(),
        calibration=data,
        reporter=reporter or SilentReporter(),
        engine=Engine([Place(runtime, runtime.devices()[0])], probes, reporter),
    )
    result: PassResult = one.apply(open_artifact(path), parse_params(one.Params, params), context)
    assert path.read_bytes() == before
    assert not list(probes.iterdir())
    assert {file.name for file in workdir.iterdir()} <= {"model.onnx", "model.onnx.data"}
    onnx.checker.check_model(str(result.artifact.path), full_check=True)
    proto = onnx.load(str(result.artifact.path))
    assert signature(proto) == signature(onnx.load(str(path)))
    names = [node.name for node in proto.graph.node if node.name]
    assert len(names) == len(set(names))
    return result, proto


def error(path: Path, result: PassResult, feeds: Mapping[str, NDArray[Any]]) -> float:
    """Share of the first output's energy by which result and source differ."""
    right, found = run(path, feeds)[0].astype(np.float64), run(result.artifact.path, feeds)[0]
    return float(np.square(right - found).sum() / np.square(right).sum())
