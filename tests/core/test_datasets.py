from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from studio.core.dataset import Dataset, DatasetReader
from studio.core.datasets import open_dataset
from studio.core.errors import DataError, UsageError
from studio.core.runtime import TensorInfo
from studio.core.source import Source
from studio.core.synthetic import synthetic_dataset


class Reader(DatasetReader):
    """Takes one ending."""

    id = "one"
    title = "one ending"

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix

    def matches(self, path: Path) -> bool:
        return path.suffix == self.suffix

    def open(self, path: Path, inputs: Sequence[TensorInfo], how: Source | None = None) -> Dataset:
        made = synthetic_dataset(inputs, 1)
        made.name = f"{path.name} by {self.suffix}"
        return made


def test_the_reader_that_knows_the_kind_opens_it(tmp_path: Path) -> None:
    path = tmp_path / "data.b"
    path.touch()
    assert open_dataset(path, [], [Reader(".a"), Reader(".b"), Reader(".b")]).name == "data.b by .b"


def test_an_unknown_kind_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"The folder .* is no known kind of dataset\. Known kinds: one ending; one ending\."
    ):
        open_dataset(tmp_path, [], [Reader(".a"), Reader(".b")])


def test_no_readers(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no plugin reads datasets"):
        open_dataset(tmp_path, [], [])


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no data at"):
        open_dataset(tmp_path / "x.a", [], [Reader(".a")])
