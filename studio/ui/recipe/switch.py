"""A switch: a check box drawn as a toggle, with the same keys and the same name for screen readers."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QWidget

from studio.ui.theme import Tokens


class Switch(QAbstractButton):
    """On or off; the knob's place says it without colour."""

    def __init__(self, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tokens = tokens
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def set_tokens(self, tokens: Tokens) -> None:
        """Use another theme's colours."""
        self._tokens = tokens
        self.update()

    def sizeHint(self) -> QSize:  # noqa: D102
        height = max(16, self.fontMetrics().height())
        return QSize(round(height * 1.9), height)

    def minimumSizeHint(self) -> QSize:  # noqa: D102
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        painter = QPainter(self)
        try:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._draw(painter)
        finally:
            painter.end()

    def _draw(self, painter: QPainter) -> None:
        tokens = self._tokens
        hint = self.sizeHint()
        body = QRectF(0, (self.height() - hint.height()) / 2, hint.width(), hint.height()).adjusted(1, 1, -1, -1)
        radius = body.height() / 2
        on = self.isChecked() and self.isEnabled()
        edge = tokens.text if self.hasFocus() else tokens.accent if on else tokens.disabled
        painter.setPen(QPen(QColor(edge), 2 if self.hasFocus() else 1))
        painter.setBrush(QColor(tokens.accent if on else tokens.raised))
        painter.drawRoundedRect(body, radius, radius)
        x = body.right() - radius if self.isChecked() else body.left() + radius
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(tokens.on_accent if on else tokens.disabled))
        painter.drawEllipse(QPointF(x, body.center().y()), radius - 3, radius - 3)
