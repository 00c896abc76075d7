"""The message bar: what went wrong and what to do about it, without standing in the way."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QWidget

from studio.core.errors import BurnishError
from studio.ui.build import column, named, row, tool, words
from studio.ui.theme import Tokens
from studio.ui.translate import tr


class MessageBar(QFrame):
    """Shows one error at a time; hidden when there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("message", "error")
        self._title, self._hint = words(look="heading"), words(look="")
        for label in (self._title, self._hint):
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._detail = named(QPlainTextEdit(readOnly=True), tr("Details of the error"))
        self._detail.setMaximumHeight(180)
        self._more = tool(tr("Details of the error"), tr("What the worker said"), checkable=True)
        self._more.setText(tr("Details"))
        self._more.toggled.connect(self._detail.setVisible)
        self._close = tool(tr("Dismiss the message"), tr("Dismiss (Esc)"))
        self._close.clicked.connect(self.hide)
        self._lay_out()
        self.hide()

    @property
    def text(self) -> str:
        """What is shown."""
        return f"{self._title.text()} {self._hint.text()}".strip()

    def show_error(self, error: BurnishError) -> None:
        """Show an error; its notes are the details."""
        self._title.setText(error.message)
        self._hint.setText(error.hint)
        self._hint.setVisible(bool(error.hint))
        notes = "\n".join(getattr(error, "__notes__", []))
        self._detail.setPlainText(notes)
        self._more.setChecked(False)
        self._more.setVisible(bool(notes))
        self._detail.hide()
        self.show()

    def set_tokens(self, tokens: Tokens) -> None:
        """Colour the icons."""
        from studio.ui.icons import icon

        self._close.setIcon(icon("x", tokens))

    def _lay_out(self) -> None:
        texts, line = column(spacing=1), row()
        texts.addWidget(self._title)
        texts.addWidget(self._hint)
        line.addLayout(texts, 1)
        line.addWidget(self._more, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)
        whole = column(self, margins=(12, 6, 8, 6))
        whole.addLayout(line)
        whole.addWidget(self._detail)
