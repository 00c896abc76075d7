"""Progress bars in the table of jobs."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QStyleOptionViewItem

from studio.ui.jobs.model import SHARE_ROLE
from studio.ui.rows import RowDelegate
from studio.ui.theme import Tokens


class ProgressDelegate(RowDelegate):
    """Draws the share done as a bar with the per cent and the job's words beside it."""

    def __init__(self, tokens: Tokens, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.tokens = tokens

    def paint(  # noqa: D102
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        share = index.data(SHARE_ROLE)
        if share is None:
            super().paint(painter, option, index)
            return
        painter.save()
        try:
            self._draw(painter, option, float(share), str(index.data() or ""))
        finally:
            painter.restore()

    def _draw(self, painter: QPainter, option: QStyleOptionViewItem, share: float, words: str) -> None:
        rect = QRectF(option.rect).adjusted(4, 4, -4, -4)
        bar = QRectF(rect.left(), rect.center().y() - 3, min(140.0, rect.width() * 0.4), 6)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self.tokens.raised))
        painter.drawRoundedRect(bar, 3, 3)
        painter.setBrush(QColor(self.tokens.accent))
        if share >= 0:
            painter.drawRoundedRect(QRectF(bar.left(), bar.top(), max(6.0, bar.width() * share), 6), 3, 3)
        text = f"{100 * share:.0f} %  {words}" if share >= 0 else words or "working"
        painter.setPen(QColor(self.tokens.text))
        space = QRectF(bar.right() + 8, rect.top() - 4, rect.right() - bar.right() - 8, rect.height() + 8)
        line = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, int(space.width()))
        painter.drawText(space, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, line)
