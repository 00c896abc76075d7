"""Why one model is slower: causes in milliseconds, what was seen, and what to do about each."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QPushButton, QScrollArea, QVBoxLayout, QWidget

from studio.core.diagnosis.explanation import Cause, Explanation
from studio.ui.build import column, heading, words

EMPTY = "Choose two variants and press Profile: what makes one slower than the other is told here, with what to do."
#: nodes named in a cause
MOST_NODES = 6


class WhyPanel(QScrollArea):
    """A card for each cause; `remedy` gives a step as a command line has it, to be put into the recipe."""

    remedy = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAccessibleName("Why one is slower or faster")
        self.show_why(None)

    def show_why(self, why: Explanation | None) -> None:
        """Show another explanation."""
        page = QWidget()
        layout = column(page, spacing=8, margins=(8, 8, 8, 8))
        if why is None:
            layout.addWidget(words(EMPTY))
        else:
            self._fill(layout, why)
        layout.addStretch(1)
        self.setWidget(page)

    def _fill(self, layout: QVBoxLayout, why: Explanation) -> None:
        layout.addWidget(heading(verdict(why)))
        for cause in why.causes:
            layout.addWidget(self._card(cause))
        layout.addWidget(
            words(f"Unexplained: {why.remainder_ms:+.3f} ms (drift, caches, the same kernels taking longer).")
        )
        for note in why.notes:
            layout.addWidget(words(note))

    def _card(self, cause: Cause) -> QFrame:
        card = QFrame()
        card.setProperty("card", True)
        inside = column(card, spacing=4, margins=(10, 8, 10, 8))
        slower = cause.milliseconds > 0
        inside.addWidget(words(f"{cause.milliseconds:+.3f} ms  {cause.title}", "bad" if slower else "good"))
        if cause.evidence:
            inside.addWidget(words(cause.evidence, ""))
        if cause.nodes:
            more = f" and {len(cause.nodes) - MOST_NODES} more" if len(cause.nodes) > MOST_NODES else ""
            inside.addWidget(words(f"{', '.join(cause.nodes[:MOST_NODES])}{more}"))
        if cause.remedy is not None:
            inside.addWidget(words(cause.remedy.text, ""))
            if cause.remedy.step:
                step = cause.remedy.step
                button = QPushButton("Put it into the recipe")
                button.setToolTip(f"Adds or changes the step {step}")
                button.clicked.connect(lambda: self.remedy.emit(step))
                inside.addWidget(button)
        return card


def verdict(why: Explanation) -> str:
    """Say in a sentence how the two compare."""
    gap, ratio = why.difference, why.ratio
    name, other = why.variant.model_name, why.baseline.model_name
    if ratio.verdict == "no significant difference":
        return f"{name} and {other} do not differ significantly: {ratio.text}, {gap.milliseconds:+.3f} ms."
    return f"{name} is {ratio.verdict} than {other}: {ratio.text}, {gap.milliseconds:+.3f} ms."
