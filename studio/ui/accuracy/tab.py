"""The Accuracy tab."""

from __future__ import annotations

from PySide6.QtWidgets import QTabWidget, QWidget

from studio.ui.accuracy.classes import ClassesPage
from studio.ui.accuracy.data import DataPage
from studio.ui.accuracy.layers import LayersPage
from studio.ui.accuracy.metrics import MetricsPage
from studio.ui.accuracy.samples import SamplesPage
from studio.ui.controller import Controller


class AccuracyTab(QTabWidget):
    """Figures, classes, the error along the graph, single samples, and the data."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setDocumentMode(True)
        self.setAccessibleName("Accuracy")
        self.metrics = MetricsPage(controller)
        self.classes = ClassesPage(controller)
        self.layers = LayersPage(controller)
        self.samples = SamplesPage(controller)
        self.data = DataPage(controller)
        for title, tip, page in (
            ("Figures", "Each metric with its interval", self.metrics),
            ("Classes", "Figures of each class, and which is taken for which", self.classes),
            ("Error by layer", "Which layer loses accuracy", self.layers),
            ("Disagreements", "The samples on which the variant differs from the baseline", self.samples),
            ("Data", "What data is used and how it is read", self.data),
        ):
            self.setTabToolTip(self.addTab(page, title), tip)
