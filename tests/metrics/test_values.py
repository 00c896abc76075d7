"""Metrics on small cases whose values are known, or that a reference implementation computes."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.core.errors import DataError, UsageError
from studio.core.metric import Metric
from studio.core.metrics import make_metric
from studio.core.registry import scan
from studio.core.setmetric import SetMetric, ragged

REGISTRY = scan(Path(__file__).parents[2] / "plugins")


def metric(text: str) -> Any:
    return make_metric(text, REGISTRY.get_metric)


def value(text: str, outputs: dict[str, NDArray[Any]], labels: Any) -> float:
    made: Metric = metric(text)
    records = made.scores(outputs, labels, None)
    return float(made.estimate(records).value)


def one_hot(classes: list[int], count: int = 3) -> dict[str, NDArray[Any]]:
    return {"logits": np.eye(count, dtype=np.float32)[classes]}


TRUTH, ANSWER = np.array([0, 0, 0, 1, 1, 2]), [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("precision", (1 + 1 / 2 + 1 / 2) / 3),
        ("recall", (2 / 3 + 1 / 2 + 1) / 3),
        ("f1", (4 / 5 + 1 / 2 + 2 / 3) / 3),
        ("f1:average=micro", 4 / 6),
        ("recall:average=weighted", 4 / 6),
        ("f1:average=weighted", (3 * 4 / 5 + 2 * 1 / 2 + 2 / 3) / 6),
    ],
)
def test_precision_recall_and_f1(text: str, wanted: float) -> None:
    assert value(text, one_hot(ANSWER), TRUTH) == pytest.approx(wanted)


def test_the_confusion_matrix_has_labels_as_rows() -> None:
    made = metric("f1")
    details = made.details(made.scores(one_hot(ANSWER), TRUTH, None))
    assert details["confusion"] == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert details["classes"][1] == {"class": 1, "precision": 0.5, "recall": 0.5, "f1": 0.5, "samples": 2}


def test_several_classes_and_a_single_score() -> None:
    scores = {"p": np.array([[0.9, 0.2, 0.6], [0.1, 0.7, 0.4]])}
    labels = np.array([[1, 0, 0], [0, 1, 1]])
    assert value("precision:average=micro", scores, labels) == pytest.approx(2 / 3)
    assert value("recall:average=micro,threshold=0.3", scores, labels) == 1.0
    single = {"p": np.array([[0.9], [0.4], [0.6], [0.1]])}
    assert value("precision:average=micro", single, np.array([1, 1, 0, 0])) == 0.5
    assert value("roc-auc", single, np.array([1, 1, 0, 0])) == 0.75


def test_the_area_counts_pairs_and_half_of_ties() -> None:
    random = np.random.default_rng(0)
    scores, labels = random.integers(0, 5, (60, 3)).astype(float), random.integers(0, 3, 60)
    areas = []
    for kind in range(3):
        own, rest = scores[labels == kind, kind], scores[labels != kind, kind]
        areas.append(((own[:, None] > rest).sum() + 0.5 * (own[:, None] == rest).sum()) / own.size / rest.size)
    assert value("roc-auc", {"s": scores}, labels) == pytest.approx(np.mean(areas))
    with pytest.raises(DataError, match="undefined"):
        value("roc-auc", {"s": scores}, np.zeros(60, int))


def test_errors_of_numbers() -> None:
    outputs = {"y": np.array([[1.0], [2.0], [5.0]], np.float32)}
    wanted = np.array([1.0, 3.0, 3.0])
    assert value("mae", outputs, wanted) == pytest.approx(1.0)
    assert value("rmse", outputs, wanted) == pytest.approx((5 / 3) ** 0.5)
    assert value("r2", outputs, wanted) == pytest.approx(1 - 5 / (8 / 3))
    assert value("mae", {"y": np.full((3, 1), np.nan)}, wanted) > 1e20
    with pytest.raises(DataError, match="needs an output with 1 values a sample"):
        value("mae", {"y": np.zeros((3, 2))}, wanted)


def test_intersection_over_union_leaves_out_what_is_unknown() -> None:
    truth = np.array([[0, 0, 1, 1], [0, 0, 1, -1]])
    answer = np.array([[0, 0, 0, 1], [0, 0, 1, 0]])
    wanted = (4 / 5 + 2 / 3) / 2
    assert value("miou", {"m": answer[None]}, ragged([truth])) == pytest.approx(wanted)
    scores = np.eye(2)[answer].transpose(2, 0, 1)[None]
    assert value("miou", {"m": scores}, ragged([truth])) == pytest.approx(wanted)
    # a mask of twice the size is brought to the output's
    assert value("miou", {"m": scores}, ragged([np.kron(truth, np.ones((2, 2), int))])) == pytest.approx(wanted)


def test_error_rates_divide_all_errors_by_all_lengths(tmp_path: Path) -> None:
    labels = np.array(["kitten", "a b c"], object)
    outputs = {"text": np.array(["sitting", "a c"], object)}
    assert value("cer", outputs, labels) == pytest.approx((3 + 2) / (6 + 5))
    assert value("wer", outputs, labels) == pytest.approx((1 + 1) / (1 + 3))
    (tmp_path / "keys.txt").write_text("a\nb\n", encoding="utf-8")
    steps = {"p": np.eye(3, dtype=np.float32)[[[1, 1, 0, 1, 2, 2], [0, 0, 2, 0, 0, 0]]]}
    text = f"cer:charset={tmp_path / 'keys.txt'}"
    assert value(text, steps, np.array(["aab", "b"], object)) == 0
    with pytest.raises(DataError, match=r"does not know what the model's 3 classes mean\. .* cer:charset=FILE"):
        value("cer", steps, np.array(["aab", "b"], object))


def test_retrieval_finds_neighbours_of_the_same_class() -> None:
    angles = np.array([0.0, 0.1, 0.3, 1.0, 1.05, 3.0])
    labels = np.array([0, 0, 1, 1, 2, 3])
    outputs = {"e": np.stack([np.cos(angles), np.sin(angles)], axis=1) * 7}
    # queries of classes 0 and 1 have another of their class: both of class 0 find it first, those of class 1 do not
    assert value("recall-at-k", outputs, labels) == pytest.approx(2 / 4)
    assert value("recall-at-k:k=5", outputs, labels) == 1.0


def detections(seed: int = 1, pictures: int = 30) -> tuple[dict[str, NDArray[Any]], list[NDArray[Any]]]:
    random = np.random.default_rng(seed)
    labels, boxes = [], np.zeros((pictures, 12, 4))
    kinds, scores = random.integers(0, 5, (pictures, 12)), random.random((pictures, 12)).round(2) + 0.001
    for picture in range(pictures):
        count = int(random.integers(0, 8))
        corner = random.uniform(0, 80, (count, 2))
        truth = np.c_[corner, corner + random.uniform(5, 60, (count, 2)), random.integers(0, 4, count)]
        labels.append(truth)
        for row in range(12):
            if count and random.random() < 0.7:
                which = int(random.integers(0, count))
                boxes[picture, row] = truth[which, :4] + random.normal(0, 3, 4)
                kinds[picture, row] = truth[which, 4]
            else:
                low = random.uniform(0, 80, 2)
                boxes[picture, row] = np.r_[low, low + random.uniform(5, 60, 2)]
    boxes[:, :, 2:] = np.maximum(boxes[:, :, 2:], boxes[:, :, :2] + 1)
    return {"boxes": boxes, "scores": scores, "labels": kinds}, labels


def test_average_precision_is_that_of_pycocotools() -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    outputs, labels = detections()
    truth: dict[str, Any] = {"images": [], "categories": [{"id": kind} for kind in range(5)], "annotations": []}
    found = []
    for picture, rows in enumerate(labels):
        truth["images"].append({"id": picture})
        for x0, y0, x1, y1, kind in rows.tolist():
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": picture,
                    "category_id": int(kind),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                }
            )
        for (x0, y0, x1, y1), score, kind in zip(
            *(outputs[name][picture].tolist() for name in ("boxes", "scores", "labels")), strict=True
        ):
            box = [x0, y0, x1 - x0, y1 - y0]
            found.append({"image_id": picture, "category_id": kind, "bbox": box, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(found), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    for text, wanted in zip(("map", "map:iou=0.5", "map:iou=0.75"), judge.stats, strict=False):
        made = metric(text)
        records = made.scores(outputs, ragged(labels), None)
        assert made.statistic(records)(np.ones(len(labels))) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("form", ["xyxy", "yxyx", "xywh", "cxcywh"])
def test_boxes_in_other_forms_are_the_same(form: str) -> None:
    outputs, labels = detections(pictures=6)
    x0, y0, x1, y1 = (outputs["boxes"][..., index] / 100 for index in range(4))
    made = {
        "xyxy": (x0, y0, x1, y1),
        "yxyx": (y0, x0, y1, x1),
        "xywh": (x0, y0, x1 - x0, y1 - y0),
        "cxcywh": ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0),
    }[form]
    joined = np.concatenate(
        [np.stack(made, axis=-1), outputs["scores"][..., None], outputs["labels"][..., None] + 1], axis=2
    )
    plain, other = metric("map"), metric(f"map:format={form},scale=100,first_class=1")
    ones = np.ones(6)
    wanted = plain.statistic(plain.scores(outputs, ragged(labels), None))(ones)
    found = other.statistic(other.scores({"out": joined}, ragged(labels), None))(ones)
    assert found == pytest.approx(wanted)


def test_raw_outputs_of_a_detector_are_refused_with_what_to_do() -> None:
    with pytest.raises(DataError, match=r"finds no boxes .* out float32 \[1, 84, 8400\].*post-processing"):
        value("map", {"out": np.zeros((1, 84, 8400), np.float32)}, ragged([np.zeros((1, 5))]))


def test_divergence_of_logits_and_of_probabilities_is_the_same() -> None:
    made = metric("kl")
    logits, others = np.random.default_rng(0).normal(size=(2, 5, 4))
    both = [np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True) for rows in (others, logits)]
    wanted = (both[1] * np.log(both[1] / both[0])).sum(axis=1)
    assert np.allclose(made.scores({"y": others}, None, {"y": logits}), wanted)
    assert np.allclose(made.scores({"y": both[0]}, None, {"y": both[1]}), wanted, atol=1e-6)
    assert made.scores({"y": np.full((1, 4), np.nan)}, None, {"y": logits[:1]})[0] == 50


def test_parameters_are_named_and_checked() -> None:
    made = metric("top-k:k=2")
    assert (made.k, made.name, made.heading) == (2, "top-k:k=2", "Top-k accuracy (k=2)")
    assert metric("top-k:k=3").name == "top-k"
    assert isinstance(metric("f1:average=micro"), SetMetric)
    for text, part in (("topk", "top-k"), ("f1:avg=micro", "average"), ("f1:average=mean", "macro"), ("f1:x", "KEY=")):
        with pytest.raises(UsageError) as caught:
            metric(text)
        assert part in str(caught.value)
