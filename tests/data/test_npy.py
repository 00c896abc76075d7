from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from studio.core.errors import DataError
from tests.core.engines import tensor
from tests.data.readers import IDS, IMAGE, images, opened, read


def test_one_file(tmp_path: Path) -> None:
    np.save(tmp_path / "any.npy", images(5))
    data = opened(tmp_path / "any.npy")
    assert (data.samples, data.labelled) == (5, False)
    assert np.array_equal(read(data)["image"], images(5))


def test_a_folder_with_a_file_for_each_input(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", images(5))
    np.save(tmp_path / "model_ids_0.npy", np.ones((5, 2), np.int64))
    np.save(tmp_path / "labels.npy", np.arange(5))
    found = read(opened(tmp_path, IMAGE, IDS.model_copy(update={"name": "model/ids:0"})))
    assert np.array_equal(found["image"], images(5))
    assert found["model/ids:0"].shape == (5, 2)
    assert found["labels"].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("whole", [False, True])
def test_a_folder_with_a_file_for_each_sample(tmp_path: Path, whole: bool) -> None:
    for index, sample in enumerate(images(5)):
        np.save(tmp_path / f"{index}.npy", sample[None] if whole else sample)
    np.save(tmp_path / "labels.npy", np.arange(5))
    found = read(opened(tmp_path, IMAGE))
    assert np.array_equal(found["image"].reshape(5, 1, 4, 4), images(5))
    assert found["labels"].tolist() == [0, 1, 2, 3, 4]


def test_arrays_stored_column_by_column(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.save(tmp_path / "x.npy", np.asfortranarray(array))
    found = read(opened(tmp_path / "x.npy", tensor("x", "batch", 3)))["x"]
    assert np.array_equal(found, array)
    assert found.flags.c_contiguous


def test_dimensions_of_size_0(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 0), np.float32))
    assert read(opened(tmp_path / "x.npy", tensor("x", "batch", 0)))["x"].shape == (4, 0)


def test_samples_of_different_shapes_are_read_one_by_one(tmp_path: Path) -> None:
    for length in (2, 3):
        np.save(tmp_path / f"{length}.npy", np.ones(length, np.int64))
    data = opened(tmp_path, IDS)
    assert [batch.feeds["ids"].shape for batch in data.batches(1)] == [(1, 2), (1, 3)]
    with pytest.raises(DataError, match=r"3\.npy has shape \[3\], but 2\.npy has \[2\]"):
        list(data.batches(2))


def test_what_does_not_fit(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", images(5))
    (tmp_path / "b.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-4])
    (tmp_path / "c.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr'")
    np.save(tmp_path / "d.npy", np.array([{}], dtype=object))
    np.save(tmp_path / "e.npy", images(0))
    np.save(tmp_path / "f.npy", np.array([[1.0, np.nan]], np.float32))
    for name, message in {
        "b": r"b\.npy is cut off: 316 bytes of 320",
        "c": "not an array in numpy's format",
        "d": "holds Python objects",
        "e": "has no samples",
    }.items():
        with pytest.raises(DataError, match=message):
            opened(tmp_path / f"{name}.npy")
    with pytest.raises(DataError, match=r"f\.npy holds NaN in sample 0"):
        read(opened(tmp_path / "f.npy", tensor("x", "batch", 2)))
    with pytest.raises(DataError, match="has no array for the input 'image'"):
        opened(tmp_path, IMAGE, IDS)
    with pytest.raises(DataError, match=r"as one sample has shape \[1, 5, 1, 4, 4\]"):
        opened(tmp_path, IMAGE)


def test_the_number_of_labels_must_be_that_of_the_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", images(1)[0])
    np.save(tmp_path / "labels.npy", np.arange(3))
    with pytest.raises(DataError, match="There are 3 labels for 2 samples"):
        opened(tmp_path)


def test_the_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", images(2))
    np.save(tmp_path / "labels.npy", np.arange(2))
    first = opened(tmp_path).digest()
    assert opened(tmp_path).digest() == first
    np.save(tmp_path / "labels.npy", np.arange(2)[::-1])
    assert opened(tmp_path).digest() != first
