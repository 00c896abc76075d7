from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest

from studio.benchmark import BenchOptions
from studio.core.device import find_device
from studio.core.runtime import RunOptions
from studio.jobs.pool import JobPool
from studio.jobs.tasks.subject import Subject
from studio.locations import load_registry
from studio.workbench import Workbench
from tests import models

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "assets" / "samples" / "mnist-resnet.onnx"
#: short: what is asserted are causes and sums, not figures
OPTIONS = BenchOptions(run=RunOptions(threads=1), seconds=0.2)

Save = Callable[..., Subject]


@pytest.fixture(scope="package")
def pool() -> Iterator[JobPool]:
    with JobPool(workers=1, spare=False) as made:
        yield made


@pytest.fixture(scope="package")
def work(pool: JobPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    made = Workbench(load_registry(), pool, tmp_path_factory.mktemp("cache"))
    yield made
    made.close()


@pytest.fixture
def subject(work: Workbench, tmp_path: Path) -> Save:
    """Write a model (or take a file) and give it on a device."""

    def save(proto: onnx.ModelProto | Path, name: str, device: str = "onnxruntime:CPU") -> Subject:
        path = proto if isinstance(proto, Path) else models.save(proto, tmp_path / f"{name}.onnx")
        place = find_device(work.detect().devices, device)
        return Subject(name=name, artifact=work.open_model(path).artifact, device=place)

    return save
