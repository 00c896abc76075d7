"""The jobs panel: jobs with progress, time left and cancel, and the log."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QPlainTextEdit,
    QPushButton,
    QTabWidget,
    QTreeView,
    QWidget,
)

from studio.jobs.protocol import Finished, JobEvent, Log
from studio.ui.build import column, named, row
from studio.ui.controller import Controller
from studio.ui.jobs.delegate import ProgressDelegate
from studio.ui.jobs.model import LEFT, NAME, PROGRESS, JobsModel
from studio.ui.rows import RowDelegate
from studio.ui.theme import Tokens

_LINES = 2000
_TICK = 500


class JobsPanel(QWidget):
    """Shows what the workers do."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.model = JobsModel(controller.tokens, self)
        self.table = self._table()
        self._delegate = ProgressDelegate(controller.tokens, self)
        self.table.setItemDelegateForColumn(PROGRESS, self._delegate)
        self.cancel = named(QPushButton("Cancel"), tip="Stop the chosen job, or the one that runs")
        self.cancel.clicked.connect(self.cancel_chosen)
        self.cancel_all = named(QPushButton("Cancel all"), tip="Stop every job")
        self.cancel_all.clicked.connect(controller.stop)
        self.clear = named(QPushButton("Clear"), tip="Forget the jobs that are over")
        self.clear.clicked.connect(self.model.clear_finished)
        self.log = named(QPlainTextEdit(readOnly=True), "Log")
        self.log.setMaximumBlockCount(_LINES)
        self.log.setPlaceholderText("What the jobs say appears here.")
        self._lines: list[str] = []
        self._timer = QTimer(self, interval=_TICK)
        self._timer.timeout.connect(self._tick)
        self._lay_out()
        controller.started.connect(self.model.sync)
        controller.job_event.connect(self._on_event)
        controller.busy.connect(lambda *_: self._sync())
        controller.themed.connect(self._on_theme)
        self.table.selectionModel().currentChanged.connect(lambda *_: self._enable())
        self._enable()

    def cancel_chosen(self) -> None:
        """Cancel the chosen job, or the one that runs when none is chosen."""
        chosen = self.model.row(self.table.currentIndex())
        rows = [chosen] if chosen is not None and chosen.active else self.model.active[-1:]
        wanted = {row.id for row in rows}
        for job in self._controller.session.work.pool.jobs:
            if job.id in wanted:
                job.cancel()

    def _on_event(self, event: JobEvent) -> None:
        if isinstance(event, Log):
            if event.level != "debug":
                self._lines.append(f"{event.job} {event.level}: {event.text}")
        else:
            self._sync()
            self.model.take(event)
        if isinstance(event, Finished) and event.error is not None:
            self._lines.append(f"{event.job} failed: {event.error.message} {event.error.hint}")
            if event.error.detail:
                self._lines.append(event.error.detail.rstrip())
        if not self._timer.isActive():
            self._timer.start()
        self._enable()

    def _sync(self) -> None:
        self.model.sync(self._controller.session.work.pool.jobs)
        if self.model.active and not self._timer.isActive():
            self._timer.start()

    def _tick(self) -> None:
        if self._lines:
            self.log.appendPlainText("\n".join(self._lines))
            self._lines.clear()
        self._sync()
        self.model.tick()
        self._enable()
        if not self.model.active:
            self._timer.stop()

    def _enable(self) -> None:
        active = bool(self.model.active)
        self.cancel.setEnabled(active)
        self.cancel_all.setEnabled(active)
        self.clear.setEnabled(self.model.rowCount() > len(self.model.active))

    def _on_theme(self, tokens: Tokens) -> None:
        self.model.set_tokens(tokens)
        self._delegate.tokens = tokens

    def _table(self) -> QTreeView:
        table = named(QTreeView(rootIsDecorated=False, uniformRowHeights=True), "Jobs")
        table.setModel(self.model)
        table.setItemDelegate(RowDelegate(table))
        table.setFrameShape(QTreeView.Shape.NoFrame)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        header = table.header()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        for section, width in ((NAME, 300), (PROGRESS, 380), (LEFT, 110)):
            header.resizeSection(section, width)
        return table

    def _lay_out(self) -> None:
        tabs = QTabWidget(documentMode=True)
        tabs.tabBar().setDrawBase(False)
        tabs.addTab(self.table, "Jobs")
        tabs.addTab(self.log, "Log")
        buttons = row(margins=(0, 2, 8, 2))
        for button in (self.cancel, self.cancel_all, self.clear):
            buttons.addWidget(button)
        corner = QWidget(tabs)
        corner.setLayout(buttons)
        tabs.setCornerWidget(corner)
        whole = column(self)
        whole.addWidget(tabs)
