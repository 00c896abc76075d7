from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.core.errors import DataError
from tests.data.readers import IDS, IMAGE, images, opened, read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for index, sample in enumerate(images(4)):
        np.save(tmp_path / "data" / f"{index}.npy", sample)
    Image.new("L", (4, 4), 255).save(tmp_path / "white.png")
    return tmp_path


def csv(folder: Path, *lines: str, name: str = "list.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_csv_with_arrays_images_and_labels(folder: Path) -> None:
    path = csv(folder, "path,label,comment", "data/2.npy,7,x", "white.png,0,", "data/0.npy,3,")
    found = read(opened(path))
    assert found["labels"].tolist() == [7, 0, 3]
    assert np.array_equal(found["image"], [images(4)[2], np.ones((1, 4, 4)), images(4)[0]])


def test_csv_without_labels_and_with_a_mark_of_utf_8(folder: Path) -> None:
    path = csv(folder, "\ufeffpath", "data/1.npy")
    data = opened(path)
    assert (data.samples, data.labelled) == (1, False)


def test_jsonl(folder: Path) -> None:
    rows = [{"path": "data/1.npy", "label": 5}, {"path": "data/3.npy", "label": 6}]
    path = csv(folder, json.dumps(rows[0]), "", json.dumps(rows[1]), name="list.jsonl")
    found = read(opened(path))
    assert found["labels"].tolist() == [5, 6]
    assert np.array_equal(found["image"], images(4)[[1, 3]])


def test_files_may_lie_elsewhere(folder: Path) -> None:
    (folder / "lists").mkdir()
    path = csv(folder / "lists", "path", "../data/1.npy", str(folder / "data" / "2.npy"))
    assert np.array_equal(read(opened(path))["image"], images(4)[1:3])


def test_several_inputs_have_a_column_each(folder: Path) -> None:
    np.save(folder / "ids.npy", np.array([4, 5, 6]))
    path = csv(folder, "ids,image,label", "ids.npy,data/0.npy,1")
    found = read(opened(path, IMAGE, IDS))
    assert found["ids"].tolist() == [[4, 5, 6]]
    assert found["labels"].tolist() == [1]


def test_conversions_are_told(folder: Path) -> None:
    np.save(folder / "int.npy", images(1)[0].astype(np.int16))
    data = opened(csv(folder, "path", "int.npy"))
    assert data.notes == ("int.npy is int16 and is converted to float32 without scaling.",)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path", "data/9.npy"], r"Line 2 of list\.csv names 'data/9\.npy', which is not there"),
        (["path", "list.csv"], "neither an image nor a .npy"),
        (["file,label", "data/0.npy,1"], "Line 2 of list.csv has no 'path'"),
        (["path,label", ",1"], "Line 2 of list.csv has no 'path'"),
        (["path,label", "data/0.npy,cat"], "the label 'cat', which is no class index"),
        (["path,label", "data/0.npy,1e999"], "the label '1e999'"),
        (
            ["path,label", "data/0.npy,1", "data/1.npy,"],
            "Some lines of list.csv have a label and others none, such as line 3",
        ),
        (["path"], "list.csv has no samples"),
        ([""], "list.csv has no samples"),
        (["path", '"data/0.npy'], "is not valid CSV"),
    ],
)
def test_lines_that_cannot_be_used(folder: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        opened(csv(folder, *lines))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "Line 1 of list.jsonl is not valid JSON"),
        ("[1]", "Line 1 of list.jsonl is not an object"),
        ('{"path": 3}', "Line 1 of list.jsonl has no 'path'"),
        ('{"path": "data/0.npy", "label": true}', "the label True"),
        ('{"path": "data/0.npy", "label": [1, "x"]}', r"the label \[1, 'x'\]"),
    ],
)
def test_objects_that_cannot_be_used(folder: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        opened(csv(folder, line, name="list.jsonl"))


def test_other_encodings(folder: Path) -> None:
    path = folder / "list.csv"
    path.write_bytes("path\nbär.npy\n".encode("latin-1"))
    with pytest.raises(DataError, match="not text in UTF-8"):
        opened(path)


def test_arrays_that_do_not_fit(folder: Path) -> None:
    np.save(folder / "flat.npy", np.zeros(16, np.float32))
    with pytest.raises(DataError, match=r"flat\.npy as one sample has shape \[1, 16\]"):
        opened(csv(folder, "path", "flat.npy"))


def test_the_digest_is_of_contents_and_labels(folder: Path) -> None:
    first = opened(csv(folder, "path,label", "data/0.npy,1")).digest()
    assert opened(csv(folder, "path,label,note", "data/0.npy,1,x")).digest() == first
    assert opened(csv(folder, "path,label", "data/0.npy,2")).digest() != first
