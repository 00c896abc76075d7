"""What the colours of the graph mean."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from studio.ui.graph.kinds import KINDS
from studio.ui.graph.overlay import Overlay, scale
from studio.ui.theme import Tokens

HEIGHT = 26
BAR = 110


class Legend(QWidget):
    """A scale with its ends, or the colours of classes with their names."""

    def __init__(self, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tokens = tokens
        self._overlay: Overlay | None = None
        self._note = ""
        self.setFixedHeight(HEIGHT)
        self.setAccessibleName("Legend of the graph's colours")

    def set_tokens(self, tokens: Tokens) -> None:
        """Put on another theme."""
        self._tokens = tokens
        self.update()

    def set_overlay(self, overlay: Overlay | None) -> None:
        """Explain an overlay; the kinds of operators when None."""
        self._overlay, self._note = overlay, ""
        self.setAccessibleDescription(overlay.title if overlay is not None else "Kind of operator")
        self.update()

    @property
    def note(self) -> str:
        """What is said instead of the colours."""
        return self._note

    def set_note(self, text: str) -> None:
        """Say something instead, such as what is being measured."""
        self._note = text
        self.setAccessibleDescription(text)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        painter = QPainter(self)
        try:
            if self._note:
                painter.setPen(QColor(self._tokens.dim))
                painter.drawText(self.rect().adjusted(8, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self._note)
                return
            if self._overlay is not None and not self._overlay.classes:
                self._paint_scale(painter, self._overlay)
                return
            if self._overlay is None:
                names = {kind: index for kind, (index, _) in KINDS.items()} | {"other": -1}
            else:
                names = {name: index for index, name in enumerate(self._overlay.classes)}
            self._paint_classes(painter, names, self._overlay.title if self._overlay is not None else "")
        finally:
            painter.end()

    def _paint_classes(self, painter: QPainter, names: dict[str, int], title: str) -> None:
        left = 8.0
        if title:
            title = title if names else f"{title}: nothing is known"
            painter.setPen(QColor(self._tokens.dim))
            width = painter.fontMetrics().horizontalAdvance(title)
            painter.drawText(QRectF(left, 0, width + 4, HEIGHT), Qt.AlignmentFlag.AlignVCenter, title)
            left += width + 18
        for name, index in names.items():
            series = self._tokens.series
            color = QColor(self._tokens.dim if index < 0 else series[index % len(series)])
            painter.fillRect(QRectF(left, 8, 10, 10), color)
            painter.setPen(QColor(self._tokens.dim))
            width = painter.fontMetrics().horizontalAdvance(name)
            painter.drawText(QRectF(left + 15, 0, width + 4, HEIGHT), Qt.AlignmentFlag.AlignVCenter, name)
            left += width + 32

    def _paint_scale(self, painter: QPainter, overlay: Overlay) -> None:
        known = overlay.values[np.isfinite(overlay.values)]
        painter.setPen(QColor(self._tokens.dim))
        title = overlay.title if len(known) else f"{overlay.title}: nothing is known"
        metrics = painter.fontMetrics()
        left = 8.0
        painter.drawText(
            QRectF(left, 0, metrics.horizontalAdvance(title) + 4, HEIGHT), Qt.AlignmentFlag.AlignVCenter, title
        )
        if not len(known):
            return
        left += metrics.horizontalAdvance(title) + 14
        low, high = overlay.text(float(known.min())), overlay.text(float(known.max()))
        painter.drawText(
            QRectF(left, 0, metrics.horizontalAdvance(low) + 4, HEIGHT), Qt.AlignmentFlag.AlignVCenter, low
        )
        left += metrics.horizontalAdvance(low) + 8
        colors = np.full((1, BAR, 4), 255, np.uint8)
        places = np.linspace(0, 1, BAR)
        colors[0, :, :3] = scale(1 - places if overlay.inverted else places)[:, ::-1]
        image = QImage(colors.tobytes(), BAR, 1, BAR * 4, QImage.Format.Format_ARGB32)
        painter.drawImage(QRectF(left, 8, BAR, 10), image)
        left += BAR + 8
        painter.drawText(
            QRectF(left, 0, metrics.horizontalAdvance(high) + 4, HEIGHT), Qt.AlignmentFlag.AlignVCenter, high
        )
