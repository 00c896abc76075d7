"""The budget and the time limit: the same two boxes in the tab and below the button."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker
from PySide6.QtWidgets import QDoubleSpinBox, QLabel, QSpinBox, QWidget

from studio.analysis.automatic import AutoOptions
from studio.ui.automatic.search import AutomaticSearch
from studio.ui.build import named, row

BUDGET_TIP = (
    "How much accuracy the proposal may lose: percentage points of a metric that is a share, such as top-1; per cent "
    "of the baseline's value for others; without labels, hundredths of the similarity to the baseline's outputs"
)
TIME_TIP = "How long to try; what was found by then is kept, and so is everything when you stop earlier"


class Wishes(QWidget):
    """Edits the options of the next search."""

    def __init__(self, search: AutomaticSearch, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._search = search
        self.budget = named(QDoubleSpinBox(minimum=0, maximum=100, singleStep=0.5, decimals=2), "Budget", BUDGET_TIP)
        self.budget.setSuffix(" points")
        self.minutes = named(QSpinBox(minimum=1, maximum=24 * 60), "Time limit", TIME_TIP)
        self.minutes.setSuffix(" min")
        self.budget.valueChanged.connect(lambda value: search.set_options(budget=value))
        self.minutes.valueChanged.connect(lambda value: search.set_options(time_limit=60.0 * value))
        line = row(self, spacing=6)
        for text, box, tip in (("Lose at most", self.budget, BUDGET_TIP), ("within", self.minutes, TIME_TIP)):
            label = named(QLabel(text), tip=tip)
            label.setBuddy(box)
            line.addWidget(label)
            line.addWidget(box)
        search.options_changed.connect(self._show)
        search.running_changed.connect(self.setDisabled)
        self._show(search.options)

    def _show(self, options: AutoOptions) -> None:
        with QSignalBlocker(self.budget), QSignalBlocker(self.minutes):
            if self.budget.value() != options.budget:
                self.budget.setValue(options.budget)
            self.minutes.setValue(max(1, round(options.time_limit / 60)))
