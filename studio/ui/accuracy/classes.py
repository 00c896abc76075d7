"""Accuracy class by class: a table and the confusion matrix."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QSplitter, QWidget

from studio.core.evaluation import Evaluation
from studio.core.project import BASELINE
from studio.ui.accuracy.confusion import ConfusionMatrix
from studio.ui.accuracy.table import Row, RowsTable
from studio.ui.build import column, named, row, words
from studio.ui.controller import Controller

HEADS = (
    ("Class", "Index of the class"),
    ("Precision", "Of the samples that are given this class, how many have it"),
    ("Recall", "Of the samples that have this class, how many are given it"),
    ("F1", "Harmonic mean of precision and recall"),
    ("IoU", "Intersection over union, for segmentation"),
    ("Samples", "Samples that have this class"),
    ("Against the baseline", "Change of F1, or of IoU"),
)
EMPTY = "Classes are known when the shown variant was evaluated by class, on data with labels."
#: the metric that tells of classes
BY_CLASS = "f1"


class ClassesPage(QWidget):
    """The latest evaluation of the shown variant that has details of classes."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.note = words(EMPTY)
        self.ask = named(QPushButton("Evaluate by class"), tip="Precision, recall and F1 of each class")
        self.ask.clicked.connect(self._ask)
        self.table = RowsTable("Figures of each class", HEADS)
        self.matrix = ConfusionMatrix(controller.tokens)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(self.table)
        split.addWidget(self.matrix)
        split.setSizes([480, 420])
        above = row()
        above.addWidget(self.ask)
        above.addWidget(self.note, 1)
        layout = column(self, margins=(8, 8, 8, 8))
        layout.addLayout(above)
        layout.addWidget(split, 1)
        controller.themed.connect(self.matrix.set_tokens)
        controller.selected.connect(lambda _: self.refresh())
        controller.changed.connect(self._on_change)
        controller.busy.connect(self._on_busy)
        self.refresh()

    def refresh(self) -> None:
        """Show what is known of the shown variant."""
        session = self._controller.session
        self.ask.setEnabled(session.is_open)
        found = before = None
        if session.is_open:
            model = session.project.variant(self._controller.variant).model
            found = detailed(session.evaluations, model)
            if found is not None and self._controller.variant != BASELINE:
                before = detailed(session.evaluations, session.project.baseline.model, found.metric)
        self.note.setText(
            EMPTY
            if found is None
            else f"{found.model_name} on {found.dataset}, {found.estimate.samples:,} samples, {found.device}"
        )
        rows = class_rows(found, before)
        self.table.set_rows(rows)
        for place, (title, _) in enumerate(HEADS[1:], 1):
            # not every metric has every figure
            known = title == "Samples" or not rows or any(item.cells[place] != "–" for item in rows)
            self.table.setColumnHidden(place, not known)
        self.matrix.set_counts(found.details.get("confusion", []) if found is not None else [])

    def _ask(self) -> None:
        variants = list(dict.fromkeys((BASELINE, self._controller.variant)))
        self._controller.evaluate(variants, (BY_CLASS,))

    def _on_change(self, topic: str) -> None:
        if topic in ("evaluations", "project", "variants"):
            self.refresh()

    def _on_busy(self, kind: str, busy: bool) -> None:
        if kind == "evaluate":
            self.ask.setEnabled(not busy and self._controller.session.is_open)


def detailed(evaluations: tuple[Evaluation, ...], model: str, metric: str = "") -> Evaluation | None:
    """Find the latest evaluation of a model that tells of classes."""
    for item in reversed(evaluations):
        if item.model_sha256 == model and item.details.get("classes") and metric in ("", item.metric):
            return item
    return None


def class_rows(found: Evaluation | None, before: Evaluation | None) -> list[Row]:
    """Make the table's rows; `before` is the baseline's evaluation by the same metric."""
    if found is None:
        return []
    earlier = {item["class"]: item for item in before.details.get("classes", [])} if before is not None else {}
    return [_row(item, earlier.get(item["class"])) for item in found.details["classes"]]


def _row(item: dict[str, Any], before: dict[str, Any] | None) -> Row:
    cells, keys = [str(item["class"])], [float(item["class"])]
    for name in ("precision", "recall", "f1", "iou"):
        value = item.get(name)
        cells.append("–" if value is None else f"{100 * value:.2f} %")
        keys.append(-1.0 if value is None else float(value))
    cells.append(f"{item['samples']:,}" if "samples" in item else "–")
    keys.append(float(item.get("samples", 0)))
    main = "f1" if "f1" in item else "iou"
    gap = item[main] - before[main] if before is not None and main in item and main in before else None
    cells.append("–" if gap is None else f"{100 * gap:+.2f} pp")
    keys.append(gap or 0.0)
    return Row(cells=tuple(cells), keys=tuple(keys))
