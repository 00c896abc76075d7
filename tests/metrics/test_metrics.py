from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.core.artifact import open_artifact
from studio.core.datasets import open_dataset
from studio.core.errors import DataError
from studio.core.evaluate import Candidate, evaluate
from studio.core.metric import Metric
from studio.core.registry import scan
from studio.core.report import SilentReporter
from studio.core.runtime import RunOptions

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "assets" / "samples"
REGISTRY = scan(ROOT / "plugins")

#: three samples, six classes: the largest are 1, 0 and 5
SCORES = np.array([[1, 9, 3, 4, 5, 6], [7, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]], np.float32)


def score(metric: str, outputs: Any, labels: Any = None, reference: Any = None) -> list[float]:
    """Score outputs, given alone or by name."""
    named = [
        value if value is None or isinstance(value, dict) else {"y": np.asarray(value)}
        for value in (outputs, reference)
    ]
    assert named[0] is not None
    found = REGISTRY.get_metric(metric).scores(named[0], None if labels is None else np.asarray(labels), named[1])
    assert found.dtype == np.float64
    return [float(value) for value in found]


def test_top1() -> None:
    assert score("top1", SCORES, [1, 1, 5]) == [1, 0, 1]


def test_top5_leaves_out_the_smallest() -> None:
    assert score("top5", SCORES, [0, 1, 0]) == [0, 0, 0]
    assert score("top5", SCORES, [2, 2, 1]) == [1, 1, 1]


def test_equal_scores_favour_the_lower_index() -> None:
    assert score("top1", np.zeros((2, 6)), [0, 3]) == [1, 0]
    assert score("top5", np.zeros((2, 6)), [4, 5]) == [1, 0]


@pytest.mark.parametrize("metric", ["top1", "top5"])
def test_a_sample_with_nan_is_wrong(metric: str) -> None:
    broken = SCORES.copy()
    broken[0, 3] = np.nan
    assert score(metric, broken, [1, 0, 5]) == [0, 1, 1]


def test_class_scores_are_the_first_float_matrix() -> None:
    outputs = {
        "label": np.array([3, 3, 3]),
        "boxes": np.zeros((3, 4, 5)),
        "logits": SCORES,
        "embedding": np.ones((3, 99)),
    }
    assert score("top1", outputs, [1, 0, 5]) == [1, 1, 1]
    assert score("top1", SCORES[:, :, None, None], [1, 0, 5]) == [1, 1, 1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, 6, 0], r"sample 1 in the batch is 6, but the model has 6 classes \(0 to 5\)"),
        ([1, 2, -1], "sample 2 in the batch is -1"),
        ([1], "shape"),
    ],
)
def test_labels_that_are_no_classes(labels: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        score("top1", SCORES, labels)


@pytest.mark.parametrize("metric", ["top1", "top5"])
def test_labels_that_are_missing(metric: str) -> None:
    with pytest.raises(DataError, match="no labels"):
        score(metric, SCORES)


@pytest.mark.parametrize("outputs", [np.zeros((3, 4, 5)), np.zeros((3, 1)), np.array([[1, 2], [3, 4], [5, 6]])])
def test_outputs_that_are_no_class_scores(outputs: NDArray[Any]) -> None:
    for metric in ("top1", "agreement"):
        with pytest.raises(DataError, match="needs class scores"):
            score(metric, outputs, [0, 0, 0], outputs)


def test_top5_of_few_classes() -> None:
    with pytest.raises(DataError, match="says nothing of a model with 5 classes"):
        score("top5", SCORES[:, :5], [0, 0, 0])


def test_agreement() -> None:
    other = SCORES[:, ::-1].copy()
    other[1] = SCORES[1] * 3
    other[2] = np.nan
    assert score("agreement", SCORES, None, other) == [0, 1, 0]
    assert score("agreement", SCORES, None, SCORES) == [1, 1, 1]


def test_cosine() -> None:
    reference = np.array([[1.0, 0], [1, 0], [1, 0], [0, 0], [1e200, 1e200], [1, 0], [1e-200, 0]])
    outputs = np.array([[3.0, 0], [0, 2], [-1, 0], [0, 0], [1e200, 1e200], [0, 0], [1e-200, 1e-200]])
    assert score("cosine", outputs, None, reference) == pytest.approx([1, 0, -1, 1, 1, 0, 0.5**0.5])


def test_sqnr() -> None:
    reference = np.array([[3.0, 4.0], [10, 0], [1, 1], [0, 0], [0, 0]])
    outputs = reference + np.array([[0.0, 0.5], [1, 0], [0, 0], [0, 0], [1, 0]])
    assert score("sqnr", outputs, None, reference) == pytest.approx([20, 20, 200, 200, -200])


@pytest.mark.parametrize(("metric", "worst"), [("cosine", 0), ("sqnr", -200)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_no_numbers_are_the_worst(metric: str, worst: float, value: float) -> None:
    broken = SCORES.copy()
    broken[1, 1] = value
    assert score(metric, broken, None, SCORES)[1] == worst
    assert score(metric, broken, None, broken)[1] == worst
    assert score(metric, broken, None, SCORES)[0] > worst


@pytest.mark.parametrize("metric", ["cosine", "sqnr"])
def test_all_float_outputs_count_as_one_vector(metric: str) -> None:
    whole = {"y": np.ones((2, 3, 4), np.float16), "z": np.ones((2, 1)), "label": np.array([1, 2])}
    changed = {**whole, "z": np.array([[1.0], [2.0]]), "label": np.array([9, 9])}
    first, second = score(metric, changed, None, whole)
    assert first == {"cosine": 1.0, "sqnr": 200.0}[metric]
    assert second == pytest.approx({"cosine": 14 / (13 * 16) ** 0.5, "sqnr": 10 * np.log10(13)}[metric])


@pytest.mark.parametrize("metric", ["cosine", "sqnr", "agreement"])
def test_a_baseline_is_needed(metric: str) -> None:
    with pytest.raises(DataError, match="needs a baseline"):
        score(metric, SCORES)


@pytest.mark.parametrize("metric", ["cosine", "sqnr"])
def test_outputs_must_be_those_of_the_baseline(metric: str) -> None:
    with pytest.raises(DataError, match=r"shape \[3, 6\] in the baseline; the model has shape \[3, 5\]"):
        score(metric, SCORES[:, :5], None, SCORES)
    with pytest.raises(DataError, match="the model has no such output"):
        score(metric, {"z": SCORES}, None, SCORES)
    with pytest.raises(DataError, match="needs a float output"):
        score(metric, np.ones((2, 2), int), None, np.ones((2, 2), int))


def metrics(*names: str) -> list[Metric]:
    return [REGISTRY.get_metric(name) for name in names]


def test_the_sample_on_its_evaluation_data() -> None:
    """The bundled classifier on a real engine, compared with itself by every metric."""
    runtime = REGISTRY.get_runtime("onnxruntime")
    device = next(device for device in runtime.devices() if device.kind == "cpu")
    artifact = open_artifact(SAMPLES / "mnist-resnet.onnx")
    with runtime.load(artifact, device, RunOptions(threads=1)) as model:
        data = open_dataset(SAMPLES / "mnist-eval.npz", model.inputs, REGISTRY.readers())
        models = [Candidate(model, artifact.sha256, name, device.spec) for name in ("baseline", "copy")]
        names = ("top1", "top5", "agreement", "cosine", "sqnr")
        found = evaluate(models, data, metrics(*names), SilentReporter(), limit=200)
    values = {(item.model_name, item.metric): item for item in found}
    accuracy = values["baseline", "top1"].estimate
    assert accuracy.value > 0.95
    assert accuracy.low < accuracy.value < 1 or accuracy.value == accuracy.high == 1
    assert values["baseline", "top5"].estimate.value >= accuracy.value
    assert [values["copy", name].estimate.value for name in ("agreement", "cosine", "sqnr")] == [1, 1, 200]
    difference = values["copy", "top1"].difference
    assert difference is not None
    assert (difference.value, difference.significant, difference.agreement) == (0, False, 1)
