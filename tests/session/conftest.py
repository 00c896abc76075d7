from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.jobs.pool import JobPool
from studio.locations import load_registry
from studio.session import Session, Topic
from studio.workbench import Workbench
from tests import models


@pytest.fixture(scope="session")
def pool() -> Iterator[JobPool]:
    with JobPool() as made:
        yield made


@pytest.fixture
def topics() -> list[Topic]:
    return []


@pytest.fixture
def session(pool: JobPool, topics: list[Topic], tmp_path: Path) -> Iterator[Session]:
    made = Session(Workbench(load_registry(), pool, tmp_path / "cache"), topics.append)
    yield made
    made.close()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return models.save(models.cnn(channels=16), tmp_path / "cnn.onnx")
