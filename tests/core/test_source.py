from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from studio.core.datasets import data_digest, open_dataset
from studio.core.errors import DataError, UsageError
from studio.core.preprocessing import PRESETS
from studio.core.source import Part, Reading, Source, described, is_source, parse_reading, parse_split, read_source
from studio.core.splitting import shared_samples
from tests.data.readers import IMAGE, REGISTRY, images, opened, read


@pytest.fixture
def data(tmp_path: Path) -> Path:
    np.savez(tmp_path / "data.npz", image=images(200), labels=np.arange(200))
    return tmp_path / "data.npz"


def test_a_description_is_read_as_it_was_written(data: Path, tmp_path: Path) -> None:
    reading = Reading(tokenizer=tmp_path / "t.json", text=("a", "b"), length=9, labels="text")
    part = Part(name="evaluation", start=0.25, end=1)
    path = described(data, tmp_path / "kept", preprocess=PRESETS["caffe"], reading=reading, part=part)
    assert is_source(path)
    assert read_source(path) == Source(path=data, preprocess=PRESETS["caffe"], reading=reading, part=part)
    assert described(data, tmp_path / "kept", preprocess=PRESETS["caffe"], reading=reading, part=part) == path
    assert described(data, tmp_path / "kept") == data


def test_a_description_by_hand_is_relative_to_itself_and_added_to(data: Path, tmp_path: Path) -> None:
    own = tmp_path / "mine.data.toml"
    own.write_text('path = "data.npz"\npreprocess = "imagenet"\n', encoding="utf-8")
    assert open_dataset(own, [IMAGE], REGISTRY.readers()).samples == 200
    more = described(own, tmp_path / "kept", part=Part(name="calibration", start=0, end=0.5))
    found = read_source(more)
    assert (found.path, found.preprocess) == (tmp_path / "data.npz", PRESETS["imagenet"])
    assert found.part is not None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("path", "not valid TOML"),
        ("preprocess = 'unit'", "path"),
        ("path = 'x'\nother = 1", "other"),
        ("path = 'x'\npreprocess = 'unti'", "'unit'"),
    ],
)
def test_a_description_that_is_wrong(tmp_path: Path, text: str, part: str) -> None:
    (tmp_path / "a.data.toml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_source(tmp_path / "a.data.toml")
    assert part in str(caught.value)


def test_the_digest_is_of_the_data_and_of_how_it_is_read(data: Path, tmp_path: Path) -> None:
    first = described(data, tmp_path / "kept", preprocess=PRESETS["caffe"])
    second = described(data, tmp_path / "kept", preprocess=PRESETS["clip"])
    assert len({data_digest(path) for path in (data, first, second)}) == 3
    before = data_digest(first)
    np.savez(data, image=images(3))
    assert data_digest(first) != before


def test_parts_are_disjoint_whole_and_of_the_size_asked_for(data: Path) -> None:
    parts = parse_split("calibration=0.25,evaluation=0.75")
    found = {name: read(opened(data, part=part), 7)["labels"].tolist() for name, part in parts.items()}
    assert sorted(found["calibration"] + found["evaluation"]) == list(range(200))
    assert found["evaluation"] == sorted(found["evaluation"])
    assert 30 < len(found["calibration"]) < 70


def test_a_part_depends_on_content_alone(data: Path, tmp_path: Path) -> None:
    part = Part(name="evaluation", start=0, end=0.5)
    wanted = set(read(opened(data, part=part), 7)["labels"].tolist())
    np.savez(tmp_path / "other.npz", image=images(200)[::-1], labels=np.arange(200)[::-1])
    assert set(read(opened(tmp_path / "other.npz", part=part), 7)["labels"].tolist()) == wanted


@pytest.mark.parametrize("size", [1, 3, 64, 1000])
@pytest.mark.parametrize("limit", [None, 0, 5, 64])
def test_batches_of_a_part_are_full_and_end_at_the_limit(data: Path, size: int, limit: int | None) -> None:
    part = opened(data, part=Part(name="evaluation", start=0.1, end=0.9))
    batches = list(part.batches(size, limit))
    total = part.samples if limit is None else min(limit, part.samples)
    assert sum(batch.samples for batch in batches) == total
    assert all(batch.samples == size for batch in batches[:-1])
    assert [batch.first for batch in batches] == list(range(0, total, size))


def test_an_empty_part_is_refused(data: Path) -> None:
    with pytest.raises(DataError, match=r"No sample of data\.npz is in the part evaluation"):
        opened(data, part=Part(name="evaluation", start=0, end=1e-6))


def test_samples_that_both_hold_are_counted(data: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", image=np.concatenate([images(200)[150:], images(30) - 1]))
    assert shared_samples(opened(data), opened(tmp_path / "other.npz")) == 50
    first, second = (opened(data, part=part) for part in parse_split("a=0.5,b=0.5").values())
    assert shared_samples(first, second) == 0


@pytest.mark.parametrize("text", ["a", "a=x", "a=0", "a=0.7,b=0.4", "a=0.1,a=0.1", "=0.5"])
def test_shares_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError, match="no name with a share that is left"):
        parse_split(text)


@pytest.mark.parametrize("text", ["tokenizr=x", "length=0", "length=x", "labels=number", "tokenizer"])
def test_readings_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_reading(text)
    assert caught.value.hint
