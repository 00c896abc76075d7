from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from studio.core.artifact import Artifact, open_artifact
from studio.core.datacheck.check import Checked, check_data
from studio.core.dataset import Batch
from tests.analysis.support import engine, given, saved, variant
from tests.cli.conftest import SAMPLES
from tests.passes.calibrated import Samples
from tests.passes.quantize.support import images, residual_cnn, sentences, transformer


class Labelled(Samples):
    """Samples with labels."""

    def __init__(self, labels: NDArray[Any], **arrays: NDArray[Any]) -> None:
        super().__init__(image=arrays["image"])
        self.labels, self.labelled = labels, True

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        for batch in super().batches(size, limit):
            yield Batch(batch.first, batch.feeds, self.labels[batch.first : batch.first + batch.samples])


@pytest.fixture(scope="module")
def digits() -> tuple[NDArray[Any], NDArray[Any]]:
    with np.load(SAMPLES / "mnist-eval.npz") as data:
        return data["image"][:64], data["labels"][:64]


@pytest.fixture(scope="module")
def sample() -> Artifact:
    return open_artifact(SAMPLES / "mnist-resnet.onnx")


def check(artifact: Artifact, data: Samples, folder: Path) -> Checked:
    found = check_data(engine(folder), artifact, data, folder, samples=64)
    assert not list(folder.glob("check-*"))
    return found


def test_right_data_gives_no_alarm(tmp_path: Path, digits: Any, sample: Artifact) -> None:
    image, labels = digits
    for data in (Labelled(labels, image=image), Samples(image=image), Samples(image=image[:5])):
        found = check(sample, data, tmp_path)
        assert found.findings == ()
        assert found.readings[0].mismatch is not None
        assert found.readings[0].mismatch < 0.2


@pytest.mark.parametrize("labelled", [True, False])
def test_a_forgotten_scale_is_found(tmp_path: Path, digits: Any, sample: Artifact, labelled: bool) -> None:
    image, labels = digits
    data = Labelled(labels, image=image * 255) if labelled else Samples(image=image * 255)
    (finding,) = check(sample, data, tmp_path).findings
    assert (finding.severity, finding.kind) == ("wrong", "reading")
    assert "divided by 255" in finding.message
    assert ("accuracy" in finding.evidence) == labelled


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda x: 1 - x, "inverted"),
        (lambda x: np.ascontiguousarray(x.swapaxes(2, 3)), "rows and columns swapped"),
        (lambda x: x / 255, "multiplied by 255"),
    ],
)
def test_other_mistakes_are_named(tmp_path: Path, digits: Any, sample: Artifact, change: Any, named: str) -> None:
    image, labels = digits
    (finding,) = check(sample, Labelled(labels, image=change(image)), tmp_path).findings
    assert named in finding.message


def test_labels_in_another_order_or_off_by_one(tmp_path: Path, digits: Any, sample: Artifact) -> None:
    image, labels = digits
    order = np.array([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])
    (moved,) = check(sample, Labelled(order[labels], image=image), tmp_path).findings
    assert (moved.kind, "another order" in moved.evidence) == ("labels", True)
    (off,) = check(sample, Labelled(labels + 1, image=image), tmp_path).findings
    assert "Counted from" in off.evidence


def test_labels_that_have_nothing_to_do_with_it(tmp_path: Path, digits: Any, sample: Artifact) -> None:
    image, _ = digits
    labels = np.random.default_rng(5).integers(0, 10, len(image))
    (finding,) = check(sample, Labelled(labels, image=image), tmp_path).findings
    assert (finding.kind, finding.severity) == ("chance", "suspicious")


def test_values_that_no_model_wants(tmp_path: Path, digits: Any, sample: Artifact) -> None:
    image = digits[0].copy()
    image[3, 0, 0, 0] = np.nan
    assert [item.kind for item in check(sample, Samples(image=image), tmp_path).findings] == ["not-finite"]
    kinds = [item.kind for item in check(sample, Samples(image=np.zeros_like(image)), tmp_path).findings]
    assert kinds == ["constant"]


def test_a_quantized_model_knows_its_range(tmp_path: Path) -> None:
    data = given(images(24))
    quantized = variant("quantize.static", saved(residual_cnn(), tmp_path / "a.onnx"), data, tmp_path / "work")
    assert check(quantized, data, tmp_path).findings == ()
    for factor, words in ((255, "outside the range"), (1 / 255, "almost none of the range")):
        (finding,) = [
            item
            for item in check(quantized, Samples(image=data.arrays["image"] * np.float32(factor)), tmp_path).findings
            if item.kind == "range"
        ]
        assert words in finding.message


def test_ids_beyond_the_table(tmp_path: Path) -> None:
    source = saved(transformer(), tmp_path / "a.onnx")
    arrays = sentences(8)
    assert check(source, given(arrays), tmp_path).findings == ()
    (finding,) = check(source, given({**arrays, "tokens": arrays["tokens"] + 10}), tmp_path).findings
    assert "50 rows" in finding.evidence


def test_swapped_channels_are_seen_by_the_statistics_of_training(tmp_path: Path) -> None:
    data = normalized_network()
    artifact = saved(data, tmp_path / "a.onnx")
    random = np.random.default_rng(0)
    image = (random.uniform(0, 1, (32, 3, 12, 12)) * np.array([1.0, 0.3, 0.05])[:, None, None]).astype(np.float32)
    assert check(artifact, Samples(image=image), tmp_path).findings == ()
    (finding,) = check(artifact, Samples(image=image[:, ::-1].copy()), tmp_path).findings
    assert "red and blue swapped" in finding.message
    (scaled,) = check(artifact, Samples(image=image * 255), tmp_path).findings
    assert "divided by 255" in scaled.message


def normalized_network() -> onnx.ModelProto:
    """A 1x1 Conv that passes channels on, with the statistics of channels of very different strength."""
    from onnx import helper

    from tests import models

    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], "conv"),
        helper.make_node("BatchNormalization", ["c", "one", "zero", "mean", "var"], ["n"], "bn"),
        helper.make_node("GlobalAveragePool", ["n"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["y"], "flatten"),
    ]
    strength = np.array([1.0, 0.3, 0.05], np.float32)
    weights: dict[str, NDArray[Any]] = {
        "w": np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1),
        "one": np.ones(3, np.float32),
        "zero": np.zeros(3, np.float32),
        "mean": strength / 2,
        "var": strength**2 / 12,
    }
    return models.model(nodes, {"image": ["batch", 3, 12, 12]}, {"y": ["batch", 3]}, weights)
