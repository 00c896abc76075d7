"""The empty window: what to do first."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCommandLinkButton, QLabel, QPushButton, QWidget

from studio.ui.build import column, row
from studio.ui.icons import picture
from studio.ui.theme import Tokens


class Welcome(QWidget):
    """Says that a model may be dropped, and offers the sample and what was open before."""

    open_asked = Signal()
    sample_asked = Signal()
    path_asked = Signal(object)

    def __init__(self, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture = QLabel(alignment=Qt.AlignmentFlag.AlignCenter)
        title = QLabel("Drop an ONNX model here", alignment=Qt.AlignmentFlag.AlignCenter)
        title.setProperty("heading", True)
        font = title.font()
        font.setPointSizeF(font.pointSizeF() * 1.7)
        title.setFont(font)
        line = QLabel(
            "See its graph, try optimization passes, and measure every variant on this machine.",
            alignment=Qt.AlignmentFlag.AlignCenter,
        )
        line.setProperty("quiet", True)
        self.sample = QPushButton("Open the sample")
        self.sample.setProperty("primary", True)
        self.sample.setToolTip("A small trained classifier of handwritten digits, with data to measure its accuracy")
        self.sample.clicked.connect(self.sample_asked)
        self.open = QPushButton("Open model…")
        self.open.clicked.connect(self.open_asked)
        self._recent = column(spacing=0)
        self._state = QLabel(alignment=Qt.AlignmentFlag.AlignCenter)
        self._state.setProperty("quiet", True)
        buttons = row(spacing=12)
        buttons.addStretch(1)
        buttons.addWidget(self.open)
        buttons.addWidget(self.sample)
        buttons.addStretch(1)
        whole = column(self, spacing=14)
        whole.addStretch(2)
        for item in (self._picture, title, line):
            whole.addWidget(item)
        whole.addLayout(buttons)
        whole.addWidget(self._state)
        recents = row()
        recents.addStretch(1)
        recents.addLayout(self._recent)
        recents.addStretch(1)
        whole.addLayout(recents)
        whole.addStretch(3)
        self.set_tokens(tokens)

    def set_tokens(self, tokens: Tokens) -> None:
        """Colour the picture."""
        self._picture.setPixmap(picture("file-down", tokens.accent, 64))

    def set_busy(self, busy: bool) -> None:
        """Show that something is being opened."""
        self._state.setText("Opening…" if busy else "")
        self.open.setDisabled(busy)
        self.sample.setDisabled(busy)

    def set_recent(self, paths: list[Path]) -> None:
        """List what was open before."""
        while (item := self._recent.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        for path in paths[:4]:
            button = QCommandLinkButton(path.name, str(path.parent))
            button.clicked.connect(lambda _=False, path=path: self.path_asked.emit(path))
            self._recent.addWidget(button)
