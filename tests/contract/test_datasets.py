"""What every dataset reader must do, over all that the bundled plugins register."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.core.batching import feeds_for
from studio.core.dataset import DatasetReader
from studio.core.errors import DataError
from studio.core.feeds import check_feeds
from studio.core.registry import scan
from studio.core.runtime import TensorInfo
from studio.core.source import Reading, Source
from tests.data.readers import write_tokenizer

REGISTRY = scan(Path(__file__).parents[2] / "plugins")
SAMPLES = 5
CASES = {
    "dynamic": TensorInfo(name="image", dtype="float32", shape=("batch", 1, 8, 8)),
    "single": TensorInfo(name="image", dtype="float16", shape=(1, 1, 8, 8)),
    "fixed": TensorInfo(name="image", dtype="float32", shape=(4, 1, 8, 8)),
    "none": TensorInfo(name="image", dtype="float32", shape=(1, 8, 8)),
}


def write_npz(folder: Path) -> Path:
    np.savez(folder / "data.npz", image=pictures() / np.float32(255), labels=np.arange(SAMPLES))
    return folder / "data.npz"


def write_images(folder: Path) -> Path:
    for index, pixels in enumerate(pictures()):
        (folder / "set" / str(index)).mkdir(parents=True)
        Image.fromarray(pixels[0]).save(folder / "set" / str(index) / "a.png")
    return folder / "set"


def write_manifest(folder: Path) -> Path:
    lines = [f"set/{index}/a.png,{index}" for index in range(SAMPLES)]
    write_images(folder)
    (folder / "list.csv").write_text("\n".join(["path,label", *lines]), encoding="utf-8")
    return folder / "list.csv"


def write_npy(folder: Path) -> Path:
    np.save(folder / "image.npy", pictures() / np.float32(255))
    np.save(folder / "labels.npy", np.arange(SAMPLES))
    return folder


def pictures() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (SAMPLES, 1, 8, 8), dtype=np.uint8)


def write_audio(folder: Path) -> Path:
    for index, pixels in enumerate(pictures()):
        (folder / "set" / str(index)).mkdir(parents=True)
        with wave.open(str(folder / "set" / str(index) / "a.wav"), "wb") as stream:
            stream.setnchannels(1)
            stream.setsampwidth(2)
            stream.setframerate(8000)
            stream.writeframes((pixels.reshape(-1).astype("<i2") * 100).tobytes())
    return folder / "set"


def write_text(folder: Path) -> Path:
    (folder / "lines.txt").write_text("\n".join(f"word{index}" for index in range(SAMPLES)), encoding="utf-8")
    return folder / "lines.txt"


def write_masks(folder: Path) -> Path:
    for index, pixels in enumerate(pictures()):
        for kind, values in (("images", pixels[0]), ("masks", pixels[0] // 200)):
            (folder / "set" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(folder / "set" / kind / f"{index}.png")
    return folder / "set"


def write_boxes(folder: Path) -> Path:
    (folder / "set" / "images").mkdir(parents=True)
    for index, pixels in enumerate(pictures()):
        Image.fromarray(pixels[0]).save(folder / "set" / "images" / f"{index}.png")
    table = {
        "images": [{"id": index, "file_name": f"{index}.png"} for index in range(SAMPLES)],
        "categories": [{"id": 7, "name": "thing"}],
        "annotations": [{"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]}],
    }
    (folder / "set" / "annotations.json").write_text(json.dumps(table), encoding="utf-8")
    return folder / "set"


#: the same samples in each kind; a new reader is tested once it has a writer here
WRITERS: dict[str, Callable[[Path], Path]] = {
    "npz": write_npz,
    "images": write_images,
    "manifest": write_manifest,
    "npy": write_npy,
}
#: kinds whose samples are not the pictures with a class each: they have tests of their own for what is in them
OTHERS: dict[str, Callable[[Path], Path]] = {
    "text": write_text,
    "audio": write_audio,
    "boxes": write_boxes,
    "masks": write_masks,
}
ALL = {**WRITERS, **OTHERS}


READERS = {reader.id: reader for reader in REGISTRY.readers()}


@pytest.fixture(params=READERS)
def any_reader(request: pytest.FixtureRequest) -> DatasetReader:
    return READERS[request.param]


@pytest.fixture(params=[name for name in READERS if name not in OTHERS])
def reader(request: pytest.FixtureRequest) -> DatasetReader:
    return READERS[request.param]


@pytest.fixture
def path(reader: DatasetReader, tmp_path: Path) -> Path:
    return WRITERS[reader.id](tmp_path)


#: what the models take that the other kinds are for
INPUTS = {
    "text": TensorInfo(name="input_ids", dtype="int64", shape=("batch", "tokens")),
    "audio": TensorInfo(name="wave", dtype="float32", shape=("batch", 64)),
}


def test_it_says_what_it_is(any_reader: DatasetReader) -> None:
    assert REGISTRY.title("dataset", any_reader.id) == any_reader.title


def test_only_one_reader_takes_a_path(any_reader: DatasetReader, tmp_path: Path) -> None:
    path = ALL[any_reader.id](tmp_path)
    assert [other.id for other in REGISTRY.readers() if other.matches(path)] == [any_reader.id]


def test_equal_samples_have_equal_fingerprints(any_reader: DatasetReader, tmp_path: Path) -> None:
    tokenizer = write_tokenizer(tmp_path / "tokenizer.json") if any_reader.id == "text" else None
    source = Source(path=tmp_path, reading=Reading(tokenizer=tokenizer))
    inputs = [INPUTS.get(any_reader.id, CASES["dynamic"])]
    data = any_reader.open(ALL[any_reader.id](tmp_path), inputs, source)
    found = list(data.fingerprints())
    assert len(found) == len(set(found)) == data.samples == SAMPLES
    assert found == list(data.fingerprints())
    assert len({batch.first for batch in data.batches(2)}) == 3


def test_it_takes_neither_what_is_missing_nor_what_is_strange(any_reader: DatasetReader, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "folder.npz").mkdir()
    for name in ("empty", "file", "folder.npz", "missing.npz", "missing.csv"):
        assert not any_reader.matches(tmp_path / name)


@pytest.mark.parametrize("case", CASES)
def test_batches_hold_what_the_model_wants(reader: DatasetReader, path: Path, case: str) -> None:
    info = CASES[case]
    data = reader.open(path, [info])
    assert (data.samples, data.labelled, data.synthetic) == (SAMPLES, True, False)
    seen, labels = [], []
    for batch in data.batches(2):
        assert batch.labels is not None
        assert batch.labels.dtype == np.int64
        labels += batch.labels.tolist()
        for feed in feeds_for([info], batch):
            check_feeds([info], feed.arrays)
            rows = feed.trim({"image": feed.arrays["image"]})["image"]
            seen += [row.reshape(1, 8, 8) for row in rows]
    assert labels == list(range(SAMPLES))
    assert np.allclose(np.array(seen, np.float32), pictures() / 255, atol=1e-3)


def test_a_limit_cuts_the_last_batch(reader: DatasetReader, path: Path) -> None:
    data = reader.open(path, [CASES["dynamic"]])
    assert [(batch.first, batch.samples) for batch in data.batches(2, limit=3)] == [(0, 2), (2, 1)]
    assert list(data.batches(2, limit=0)) == []


def test_it_can_be_read_again_and_halfway(reader: DatasetReader, path: Path) -> None:
    data = reader.open(path, [CASES["dynamic"]])
    first = next(iter(data.batches(1)))
    again = next(iter(data.batches(SAMPLES)))
    assert np.array_equal(first.feeds["image"][0], again.feeds["image"][0])


def test_the_digest_is_stable(reader: DatasetReader, path: Path) -> None:
    first, second = (reader.open(path, [CASES[case]]).digest() for case in ("dynamic", "fixed"))
    assert first == second
    assert len(first) == 64
    int(first, 16)


def test_data_for_another_model_is_refused(reader: DatasetReader, path: Path) -> None:
    for shape, dtype in (((None, 4), "float32"), ((None, 1, 8, 8), "object")):
        with pytest.raises(DataError) as caught:
            reader.open(path, [TensorInfo(name="image", dtype=dtype, shape=shape)])
        assert caught.value.message.endswith(".")
        assert caught.value.hint.endswith(".")
