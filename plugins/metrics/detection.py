"""Mean average precision of boxes, as COCO computes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from studio.api import DataError, Params, SetMetric, Statistic, param, ragged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: boxes of a picture that count, the best first
MOST_BOXES = 100
#: columns of a record before the overlaps: class and score, which is NaN for a labelled box
HEAD = 2
_HINT = (
    "The metric takes boxes [samples, boxes, 4], scores [samples, boxes] and classes [samples, boxes], or one output "
    "[samples, boxes, 6] of box, score and class: export the model with its post-processing (decoding and NMS), or "
    "compare raw outputs by cosine and sqnr."
)


class MapParams(Params):
    """What can be set."""

    iou: Literal["coco", "0.5", "0.75"] = param(
        "coco", "Overlap from which a box is right; coco averages over 0.5 to 0.95 in steps of 0.05."
    )
    format: Literal["xyxy", "yxyx", "xywh", "cxcywh"] = param(
        "xyxy", "What the four numbers of a box are: two corners, corner and size, or centre and size."
    )
    scale: float = param(
        1.0, "Factor from the model's numbers to pixels of its input, such as 640 for boxes from 0 to 1.", gt=0
    )
    first_class: int = param(0, "Number of the first class in the model's output, 1 where 0 is the background.", ge=0)


class MeanAveragePrecision(SetMetric):
    """Area under the precision-recall curve of each class, averaged over classes and overlaps."""

    id = "map"
    title = "Mean average precision"
    needs_labels = True
    unit = "fraction"
    label_kinds = frozenset({"boxes"})
    Params = MapParams

    def scores(
        self,
        outputs: Mapping[str, NDArray[Any]],
        labels: NDArray[Any] | None,
        reference: Mapping[str, NDArray[Any]] | None,
    ) -> NDArray[Any]:
        """Record each picture's boxes: object array of float64 ``(boxes, 2 + overlaps)``.

        A row is a class, a score and for each overlap whether the box is right; of a labelled box the
        score is NaN.

        Raises
        ------
        DataError
            When the outputs are no boxes with scores and classes.
        """
        import numpy as np

        if labels is None:
            raise DataError("There are no boxes to compare with.", "Give a folder with annotations.json.")
        boxes, found, classes = find_boxes(outputs, self.title)
        corners = _corners(boxes.astype(np.float64) * self.params.scale, self.params.format)
        rows = zip(corners, found, classes - self.params.first_class, labels, strict=True)
        return ragged([_matched(box, score, kind, truth, self._levels()) for box, score, kind, truth in rows])

    def statistic(self, records: NDArray[Any]) -> Statistic:
        """Sort the boxes of each class once, by score."""
        import numpy as np

        whole = np.concatenate(list(records))
        picture = np.repeat(np.arange(len(records)), [len(record) for record in records])
        labelled = np.isnan(whole[:, 1])
        kinds = np.unique(whole[labelled, 0])
        rows = np.flatnonzero(~labelled & np.isin(whole[:, 0], kinds))
        rows = rows[np.lexsort((-whole[rows, 1], whole[rows, 0]))]
        owner = np.searchsorted(kinds, whole[rows, 0])
        right, boxes = whole[rows, HEAD:], picture[rows]
        truth_owner, truths = np.searchsorted(kinds, whole[labelled, 0]), picture[labelled]

        def value(weights: Floats) -> float:
            totals = np.bincount(truth_owner, weights[truths], len(kinds)).astype(float)
            if not totals.any():
                return float("nan")
            found = _average_precisions(weights[boxes], right, owner, totals)
            return float(found[totals > 0].mean())

        return value

    def figures(self, records: NDArray[Any]) -> Floats:
        """Give each picture's F1 at an overlap of 0.5 of the boxes that score 0.5 or more; 1 where there are none."""
        import numpy as np

        made = np.ones(len(records))
        for index, record in enumerate(records):
            labelled = np.isnan(record[:, 1])
            chosen = record[~labelled & (record[:, 1] >= 0.5)]
            total = int(labelled.sum()) + len(chosen)
            if total:
                made[index] = 2 * chosen[:, HEAD].sum() / total
        return made

    def _levels(self) -> Floats:
        import numpy as np

        return np.linspace(0.5, 0.95, 10) if self.params.iou == "coco" else np.array([float(self.params.iou)])


def find_boxes(
    outputs: Mapping[str, NDArray[Any]], title: str
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.int64]]:
    """Find boxes ``(samples, boxes, 4)``, scores and classes ``(samples, boxes)`` among a model's outputs.

    Raises
    ------
    DataError
        When there are none.
    """
    import numpy as np

    floats = {name: array for name, array in outputs.items() if array.dtype.kind in "fV"}
    for array in floats.values():
        if array.ndim == 3 and array.shape[2] == 6:
            whole = array.astype(np.float64)
            return whole[:, :, :4], whole[:, :, 4], np.rint(whole[:, :, 5]).astype(np.int64)
    boxes = next((array for array in floats.values() if array.ndim == 3 and array.shape[2] == 4), None)
    rest = {} if boxes is None else {n: a for n, a in outputs.items() if a.ndim == 2 and a.shape == boxes.shape[:2]}
    classes = next((array for array in rest.values() if array.dtype.kind in "iu"), None)
    if classes is None:  # some exporters give classes as floats
        named = [name for name in rest if any(part in name.lower() for part in ("label", "class"))]
        classes = rest.pop(named[0]) if named else None
    found = next((array for array in rest.values() if array.dtype.kind in "fV"), None)
    if boxes is None or found is None or classes is None:
        listed = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in outputs.items())
        raise DataError(f"{title} finds no boxes with scores and classes among the outputs: {listed}.", _HINT)
    return boxes, found.astype(np.float64), np.rint(classes.astype(np.float64)).astype(np.int64)


def _corners(boxes: Floats, form: str) -> Floats:
    """Give boxes as left, top, right, bottom."""
    import numpy as np

    a, b, c, d = (boxes[..., index] for index in range(4))
    made = {
        "xyxy": (a, b, c, d),
        "yxyx": (b, a, d, c),
        "xywh": (a, b, a + c, b + d),
        "cxcywh": (a - c / 2, b - d / 2, a + c / 2, b + d / 2),
    }[form]
    return np.stack(made, axis=-1)


def _matched(boxes: Floats, scores: Floats, classes: NDArray[np.int64], truth: Floats, levels: Floats) -> Floats:
    """Match a picture's boxes to labelled ones: the best scores first, each to the free one that it overlaps most."""
    import numpy as np

    real = np.isfinite(boxes).all(axis=1) & np.isfinite(scores) & (classes >= 0) & (scores > 0)
    order = np.flatnonzero(real)[np.argsort(-scores[real], kind="stable")]
    rows = [np.array([[kind, np.nan, *np.zeros(len(levels))] for kind in truth[:, 4]]).reshape(-1, HEAD + len(levels))]
    for kind in np.unique(classes[order]):
        chosen = order[classes[order] == kind][:MOST_BOXES]
        overlap = _iou(boxes[chosen], truth[truth[:, 4] == kind, :4])
        right = np.stack([_greedy(overlap, level) for level in levels], axis=1)
        rows.append(np.concatenate([np.full((len(chosen), 1), kind), scores[chosen, None], right], axis=1))
    return np.concatenate(rows).astype(np.float64)


def _greedy(overlap: Floats, level: float) -> NDArray[np.bool_]:
    import numpy as np

    right = np.zeros(len(overlap), bool)
    free = np.ones(overlap.shape[1], bool)
    for row, shares in enumerate(overlap):
        possible = np.where(free, shares, -1.0)
        if len(possible) and possible.max() >= min(level, 1 - 1e-10):
            # of equal overlaps the last, as in COCO's reference
            best = len(possible) - 1 - int(possible[::-1].argmax())
            right[row], free[best] = True, False
    return right


def _iou(first: Floats, second: Floats) -> Floats:
    """Give intersection over union, float64 of shape ``(first, second)``."""
    import numpy as np

    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - both
    return np.where(union > 0, both / np.where(union > 0, union, 1), 0.0)


def _average_precisions(weights: Floats, right: Floats, owner: NDArray[np.int64], totals: Floats) -> Floats:
    """Average the precision at 101 recalls, over all overlaps (Lin et al., "Microsoft COCO", ECCV 2014).

    Parameters
    ----------
    weights, right, owner
        Of each box, sorted by class and score: how often it counts, whether it is right at each overlap,
        and its class.
    totals
        Labelled boxes of each class.

    Returns
    -------
    ndarray
        float64 of shape ``(classes,)``.
    """
    import numpy as np

    levels = right.shape[1]
    best = np.zeros((len(totals), 101, levels))
    if len(weights):
        starts = np.searchsorted(owner, np.arange(len(totals)))[owner]
        hits = np.concatenate([np.zeros((1, levels)), np.cumsum(weights[:, None] * right, axis=0)])
        seen = np.concatenate([[0.0], np.cumsum(weights)])
        hits, seen = hits[1:] - hits[starts], seen[1:] - seen[starts]
        recall = hits / np.maximum(totals[owner], 1e-12)[:, None]
        precision = hits / np.maximum(seen, 1e-12)[:, None]
        # the last of 101 recalls that a box reaches
        point = np.clip(np.floor(recall * 100 + 1e-9), 0, 100).astype(int)
        rows, columns = np.nonzero(hits > 0)
        np.maximum.at(best, (owner[rows], point[rows, columns], columns), precision[rows, columns])
    reached: Floats = np.maximum.accumulate(best[:, ::-1], axis=1).mean(axis=(1, 2))
    return reached
