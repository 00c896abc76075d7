"""Labels of other kinds than class indices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.core.errors import DataError
from studio.core.source import LabelKind, Reading
from tests.data.readers import images, opened, read


@pytest.mark.parametrize(
    ("labels", "kind", "dtype"),
    [
        (np.array([1, 0, 2]), "class", np.int64),
        (np.array([[1, 0], [1, 1], [0, 0]]), "multilabel", np.int64),
        (np.array([0.5, 1, 2]), "target", np.float64),
        (np.ones((3, 4), np.float32), "target", np.float64),
        (np.array(["a", "bc", ""]), "text", object),
        (np.zeros((3, 4, 4), np.uint8), "mask", object),
    ],
)
def test_arrays_say_by_type_and_shape_what_they_are(tmp_path: Path, labels: Any, kind: LabelKind, dtype: Any) -> None:
    np.savez(tmp_path / "data.npz", image=images(3), labels=labels)
    data = opened(tmp_path / "data.npz")
    found = read(data, 2)["labels"]
    assert data.label_kind == kind
    assert found.dtype == dtype
    assert all(np.array_equal(row, given) for row, given in zip(found, labels, strict=True))


def test_whole_numbers_may_be_targets(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", image=images(3), labels=np.array([1, 5, 9]))
    data = opened(tmp_path / "data.npz", reading=Reading(labels="target"))
    assert data.label_kind == "target"
    assert read(data)["labels"].dtype == np.float64
    with pytest.raises(DataError, match="no labels of the kind text"):
        opened(tmp_path / "data.npz", reading=Reading(labels="text"))


@pytest.mark.parametrize(
    ("labels", "kind", "found"),
    [
        (("0", "2"), "class", [0, 2]),
        (("1", "2.5"), "target", [1.0, 2.5]),
        (("0|2", "1"), "multilabel", [[1, 0, 1], [0, 1, 0]]),
        (("0.5|2", "1|1"), "target", [[0.5, 2], [1, 1]]),
    ],
)
def test_manifests_say_it_by_what_is_written(tmp_path: Path, labels: tuple[str, ...], kind: str, found: Any) -> None:
    np.save(tmp_path / "a.npy", images(1)[0])
    lines = "".join(f"a.npy,{label}\n" for label in labels)
    (tmp_path / "list.csv").write_text(f"path,label\n{lines}", encoding="utf-8")
    reading = Reading(labels="multilabel") if kind == "multilabel" else None
    data = opened(tmp_path / "list.csv", reading=reading)
    assert data.label_kind == kind
    assert read(data)["labels"].tolist() == found


def test_a_named_column_must_be_there(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", images(1)[0])
    (tmp_path / "list.csv").write_text("path,stars\na.npy,3\n", encoding="utf-8")
    assert read(opened(tmp_path / "list.csv", reading=Reading(label="stars")))["labels"].tolist() == [3]
    with pytest.raises(DataError, match="has no 'star'"):
        opened(tmp_path / "list.csv", reading=Reading(label="star"))
