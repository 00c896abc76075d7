"""A confusion matrix: how often each class is taken for which."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QToolTip, QWidget

from studio.ui.graph.overlay import scale
from studio.ui.theme import Tokens

LEFT, TOP = 56.0, 40.0
LARGEST = 34.0
#: sides of cells from which their number is written
WRITTEN = 22.0


class ConfusionMatrix(QWidget):
    """Rows are labels, columns answers; the darker end of the scale is few of a label's samples, the lighter many."""

    def __init__(self, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tokens = tokens
        self._counts: NDArray[np.int64] = np.zeros((0, 0), np.int64)
        self.setMouseTracking(True)
        self.setMinimumSize(220, 200)
        self.setAccessibleName("Confusion matrix: rows are labels, columns are answers")

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many samples of each label got each answer: ``(classes, classes)``."""
        return self._counts

    def set_counts(self, counts: list[list[int]]) -> None:
        """Show other counts."""
        self._counts = np.array(counts, np.int64).reshape(len(counts), len(counts))
        self.setVisible(bool(len(counts)))
        wrong = int(self._counts.sum() - np.trace(self._counts)) if len(counts) else 0
        self.setAccessibleDescription(f"{wrong} of {int(self._counts.sum())} samples are taken for another class")
        self.updateGeometry()
        self.update()

    def set_tokens(self, tokens: Tokens) -> None:
        """Put on another theme."""
        self._tokens = tokens
        self.update()

    def sizeHint(self) -> QSize:  # noqa: D102
        side = round(LARGEST * len(self._counts))
        return QSize(min(900, side) + round(LEFT) + 12, min(900, side) + round(TOP) + 12)

    def text_at(self, place: QPointF) -> str:
        """Say what the cell at a point holds; empty beside the cells."""
        side = self._side
        row, column = int((place.y() - TOP) // side), int((place.x() - LEFT) // side)
        if not (0 <= row < len(self._counts) and 0 <= column < len(self._counts)):
            return ""
        count, whole = int(self._counts[row, column]), int(self._counts[row].sum())
        return f"Label {row}, answer {column}: {count:,} of {whole:,} samples"

    def event(self, event: QEvent) -> bool:  # noqa: D102
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.text_at(QPointF(event.pos())), self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        painter = QPainter(self)
        try:
            if len(self._counts):
                self._paint(painter)
        finally:
            # An exception with the painter still active would end the process.
            painter.end()

    def _paint(self, painter: QPainter) -> None:
        side, count = self._side, len(self._counts)
        shares = self._counts / np.maximum(1, self._counts.sum(axis=1, keepdims=True))
        colors = scale(np.sqrt(shares).reshape(-1)).reshape(count, count, 3)
        middle = Qt.AlignmentFlag.AlignCenter
        for row in range(count):
            for column in range(count):
                red, green, blue = (int(part) for part in colors[row, column])
                cell = QRectF(LEFT + column * side, TOP + row * side, side - 1, side - 1)
                empty = not self._counts[row, column]
                painter.fillRect(cell, QColor(self._tokens.raised) if empty else QColor(red, green, blue))
                if side >= WRITTEN and not empty:
                    painter.setPen(QColor("#000000" if shares[row, column] > 0.2 else "#ffffff"))
                    painter.drawText(cell, middle, str(int(self._counts[row, column])))
        painter.setPen(QColor(self._tokens.dim))
        painter.drawText(QRectF(LEFT, 0, side * count, TOP / 2), middle, "answer")
        every = max(1, math.ceil(count / max(1, int(side * count // 26))))
        for index in range(0, count, every):
            painter.drawText(QRectF(LEFT + index * side - 10, TOP / 2, side + 20, TOP / 2), middle, str(index))
            painter.drawText(
                QRectF(0, TOP + index * side, LEFT - 8, side),
                Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
                f"label {index}" if index == 0 else str(index),
            )

    @property
    def _side(self) -> float:
        count = max(1, len(self._counts))
        return max(2.0, min(LARGEST, (self.width() - LEFT - 8) / count, (self.height() - TOP - 8) / count))
