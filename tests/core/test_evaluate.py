from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.core.dataset import Batch, Dataset
from studio.core.errors import Cancelled, DataError
from studio.core.evaluate import Candidate, compare_scores, evaluate
from studio.core.evaluation import Evaluation
from studio.core.intervals import fraction_estimate, mean_estimate
from studio.core.metric import Estimate, Metric
from studio.core.report import SilentReporter
from studio.core.runtime import LoadedModel
from tests.core.engines import NumpyModel, eye, linear, tensor

CLASSES = 4


class Points(Dataset):
    """One-hot inputs of random classes, generated as they are read, so that nothing large is ever held."""

    name = "points"

    def __init__(self, samples: int = 100, *, labelled: bool = True, width: int = CLASSES) -> None:
        self.samples = samples
        self.labelled = labelled
        self._width = width

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        end = self.samples if limit is None else min(limit, self.samples)
        for first in range(0, end, size):
            labels = np.arange(first, min(first + size, end)) % CLASSES
            yield Batch(first, {"x": np.eye(self._width, dtype=np.float32)[labels]}, labels if self.labelled else None)

    def digest(self) -> str:
        return "0" * 64


class Accuracy(Metric):
    id = "accuracy"
    title = "Accuracy"
    unit = "fraction"
    needs_labels = True

    def scores(
        self, outputs: Mapping[str, NDArray[Any]], labels: NDArray[Any] | None, reference: object
    ) -> NDArray[np.float64]:
        assert labels is not None
        if labels.max() >= outputs["logits"].shape[1]:
            raise DataError("A label is too large.", "Number them anew.")
        right: NDArray[np.bool_] = outputs["logits"].argmax(axis=1) == labels
        return right.astype(float)

    def estimate(self, scores: NDArray[Any]) -> Estimate:
        return fraction_estimate(scores)


class Distance(Metric):
    id = "distance"
    title = "Distance"
    needs_reference = True

    def scores(
        self, outputs: Mapping[str, NDArray[Any]], labels: object, reference: Mapping[str, NDArray[Any]] | None
    ) -> NDArray[np.float64]:
        assert reference is not None
        return np.asarray(np.abs(outputs["logits"] - reference["logits"]).sum(axis=1), np.float64)

    def estimate(self, scores: NDArray[Any]) -> Estimate:
        return mean_estimate(scores, 0, 100)


class Stopper(SilentReporter):
    """Asks to stop at the n-th check."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.told: list[tuple[float, float]] = []

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Cancelled

    def progress(self, done: float, total: float, label: str = "") -> None:
        self.told.append((done, total))


def swapped() -> NDArray[np.float32]:
    """Weights that take class 3 for class 0."""
    weights = eye(CLASSES)
    weights[3] = [2, 0, 0, 1]
    return weights


def run(
    models: Sequence[LoadedModel],
    metrics: Sequence[Metric],
    dataset: Dataset | None = None,
    *,
    reporter: SilentReporter | None = None,
    batch: int = 8,
    limit: int | None = None,
) -> tuple[Evaluation, ...]:
    candidates = [Candidate(model, f"{i}" * 64, f"m{i}", "numpy:CPU") for i, model in enumerate(models)]
    return evaluate(candidates, dataset or Points(), metrics, reporter or SilentReporter(), batch=batch, limit=limit)


def test_one_model_alone() -> None:
    (found,) = run([linear(swapped())], [Accuracy()])
    assert found.estimate.value == 0.75
    assert found.estimate.low < 0.75 < found.estimate.high
    assert len(found.scores) == 100
    assert found.scores[:4] == (1, 1, 1, 0)
    assert (found.difference, found.baseline_sha256, found.warnings) == (None, "", ())
    assert Evaluation.model_validate_json(found.model_dump_json()) == found


def test_variants_are_compared_with_the_baseline_on_the_same_samples() -> None:
    baseline, same, worse = run([linear(eye(4)), linear(2 * eye(4)), linear(swapped())], [Accuracy()])
    assert baseline.difference is None
    assert same.difference is not None
    assert (same.difference.value, same.difference.significant, same.difference.agreement) == (0, False, 1)
    assert worse.difference is not None
    assert worse.difference.value == -0.25
    assert worse.difference.low < -0.25 < worse.difference.high < 0
    assert worse.difference.significant
    assert worse.difference.agreement == 0.75
    assert worse.baseline_sha256 == baseline.model_sha256


def test_a_metric_against_the_baseline_scores_the_variants_only() -> None:
    models = [linear(eye(4)), linear(eye(4) * 1.5)]
    found = run(models, [Accuracy(), Distance()], Points(labelled=True))
    assert [(item.model_name, item.metric) for item in found] == [
        ("m0", "accuracy"),
        ("m1", "accuracy"),
        ("m1", "distance"),
    ]
    assert found[2].estimate.value == pytest.approx(0.5)
    assert found[2].difference is None
    (alone,) = run(models, [Distance()], Points(labelled=False))
    assert alone.baseline_sha256 == "0" * 64


def test_the_baseline_is_run_once_however_many_variants_there_are() -> None:
    models = [linear(eye(4)) for _ in range(3)]
    run(models, [Accuracy(), Distance()], Points(16))
    assert [len(model.fed) for model in models] == [2, 2, 2]


@pytest.mark.parametrize("fixed", [1, 3, 64])
def test_a_fixed_batch_changes_no_score(fixed: int) -> None:
    dynamic = run([linear(swapped())], [Accuracy()], Points(50))
    assert run([linear(swapped(), fixed)], [Accuracy()], Points(50))[0].scores == dynamic[0].scores


def test_a_limit() -> None:
    (found,) = run([linear(eye(4))], [Accuracy()], limit=10)
    assert found.estimate.samples == 10


def test_cancelling_keeps_what_was_done() -> None:
    stopper = Stopper(3)
    first, second = run([linear(eye(4)), linear(swapped())], [Accuracy()], reporter=stopper)
    assert (first.estimate.samples, second.estimate.samples) == (24, 24)
    assert first.warnings == ("Stopped after 24 of 100 samples.",)
    assert stopper.told == [(8, 100), (16, 100), (24, 100)]


def test_cancelling_before_the_first_batch_is_a_cancellation() -> None:
    with pytest.raises(Cancelled):
        run([linear(eye(4))], [Accuracy()], reporter=Stopper(0))


def test_what_was_done_to_the_data_is_told() -> None:
    data = Points(8)
    data.notes = ("x is int8 and is converted.",)
    assert run([linear(eye(4))], [Accuracy()], data)[0].warnings == data.notes


def test_labels_that_are_missing() -> None:
    with pytest.raises(DataError, match="Accuracy needs labels, but points has none"):
        run([linear(eye(4))], [Accuracy()], Points(labelled=False))


def test_a_baseline_that_is_missing() -> None:
    with pytest.raises(DataError, match="only one model is given"):
        run([linear(eye(4))], [Distance()])


def test_no_samples() -> None:
    with pytest.raises(DataError, match="has no samples"):
        run([linear(eye(4))], [Accuracy()], Points(0))


def test_an_error_names_the_samples() -> None:
    narrow = NumpyModel(lambda x: {"logits": x[:, :3]}, tensor("x", "batch", 4))
    with pytest.raises(DataError, match=r"^Samples 0 to 7: A label is too large"):
        run([narrow], [Accuracy()])


def test_memory_does_not_grow_with_the_data() -> None:
    """A thousand batches of 1 MB: what is kept are scores."""
    data = Points(64_000, width=4096)
    weights = np.zeros((4096, CLASSES), np.float32)
    tracemalloc.start()
    try:
        run([linear(weights)], [Accuracy()], data, batch=64, limit=6_400)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 80 << 20  # the identity matrix of the data itself is 64 MB


def test_real_scores_are_compared_by_their_mean() -> None:
    random = np.random.default_rng(0)
    baseline = random.normal(30, 10, 200)
    found = compare_scores(baseline + random.normal(0.5, 1, 200), baseline)
    assert found.value == pytest.approx(0.5, abs=0.2)
    assert found.significant
    assert found.high - found.low < 0.5  # far narrower than either mean's own interval
    assert compare_scores(baseline, baseline).significant is False
