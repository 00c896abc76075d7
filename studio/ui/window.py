"""The main window."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import cast

from PySide6.QtCore import QByteArray, Qt
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent
from PySide6.QtWidgets import (
    QApplication,
    QLabel,
    QMainWindow,
    QMessageBox,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QToolBar,
    QWidget,
)

from studio.benchmark import BenchOptions
from studio.core.project import BASELINE
from studio.core.recipe import Recipe
from studio.session import Session
from studio.ui.automatic.button import AutomaticButton
from studio.ui.build import column
from studio.ui.controller import Controller
from studio.ui.devices import DeviceSelector
from studio.ui.drop import dropped
from studio.ui.edits import Edits
from studio.ui.files import Files
from studio.ui.help import INDEX, HelpDock, page_of
from studio.ui.idle import in_turns, polish
from studio.ui.menus import SEPARATOR, Item, Menus
from studio.ui.message import MessageBar
from studio.ui.preferences import Preferences
from studio.ui.theme import Choice, Tokens, apply_theme
from studio.ui.welcome import Welcome
from studio.ui.workspace import Workspace

_NOTICE_MS = 6000


class MainWindow(QMainWindow):
    """One project's window.

    Parameters
    ----------
    session
        What it shows; closed by the caller.
    preferences
        What is remembered between starts.
    tokens
        The theme that the application wears.
    """

    def __init__(self, session: Session, preferences: Preferences, tokens: Tokens) -> None:
        super().__init__()
        self.controller = Controller(session, tokens, self)
        self.preferences = preferences
        self.edits = Edits(self.controller)
        self.welcome = Welcome(tokens)
        self.workspace = Workspace(self.controller, self.edits)
        self.message = MessageBar(tokens)
        self.help = HelpDock(self)
        self.devices = DeviceSelector(self.controller)
        self.files = Files(self.controller, self.edits, preferences, self.workspace.recipe, self)
        self.menus = Menus(self)
        self._busy: set[str] = set()
        self._pages = QStackedWidget()
        self._model = QLabel()
        self._bar = QToolBar("Main")
        self.benchmark = QPushButton("Benchmark")
        self.automatic = AutomaticButton(self.controller, self.workspace.tabs)
        self.setAcceptDrops(True)
        self._lay_out()
        self._make_menus()
        self._connect()
        self._restore()
        self._refresh()

    def begin(self, paths: list[Path]) -> None:
        """Start the work that the first picture need not wait for, and open what was asked for."""
        registry = self.controller.session.work.registry
        self.controller.background.run(registry.passes, self.workspace.recipe.set_passes, self.controller.failed.emit)
        self.controller.detect()
        in_turns(self, polish(self.workspace))
        for path in paths:
            if str(path) == "--sample":
                self.files.open_sample()
            else:
                self.files.open(path)

    def measure(self, variants: list[str]) -> None:
        """Benchmark variants live."""
        self.workspace.tabs.open_tab("Benchmark")
        self.controller.measure(variants, BenchOptions(data=self.controller.session.data().evaluation))

    def set_theme(self, choice: Choice) -> None:
        """Dress the window anew and remember it."""
        self.preferences.theme = choice
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        self.controller.set_tokens(apply_theme(app, choice))

    @property
    def busy(self) -> bool:
        """Whether work that the user asked for is under way."""
        return bool(self._busy)

    # events

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: D102
        if dropped(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: D102
        event.acceptProposedAction()
        for path in dropped(event.mimeData()):
            self.files.open(path)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: D102
        if not self.may_discard():
            event.ignore()
            return
        self.workspace.recipe.commit()
        self.preferences.keep(
            {"window": self.saveGeometry(), "docks": self.saveState(), **self.workspace.keep_layout()}
        )
        self.controller.stop()
        self.edits.close()
        self.controller.close()
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: D102
        if event.key() == Qt.Key.Key_Escape and self.message.isVisible():
            self.message.hide()
        else:
            super().keyPressEvent(event)

    def may_discard(self) -> bool:
        """Ask before variants that were never saved are lost."""
        session = self.controller.session
        if not session.is_open or session.folder is not None or len(session.project.variants) < 2:
            return True
        button = QMessageBox.StandardButton
        answer = QMessageBox.question(
            self,
            "Unsaved project",
            "This project was not saved. Its variants and measurements will be lost.",
            button.Discard | button.Cancel,
            button.Cancel,
        )
        return answer == button.Discard

    # reactions

    def _on_busy(self, kind: str, busy: bool) -> None:
        (self._busy.add if busy else self._busy.discard)(kind)
        if kind == "open":
            self.welcome.set_busy(busy)
        if kind == "measure" and busy:
            self.workspace.tabs.open_tab("Benchmark")
        self._refresh()

    def _on_change(self, topic: str) -> None:
        self._refresh()
        if self.controller.session.is_open:
            self.workspace.tabs.wake()

    def _on_apply(self, recipe: Recipe, measure: bool) -> None:
        self.message.hide()
        self.controller.apply(recipe, recipe.name, then=self._measure_applied if measure else None)

    def _measure_applied(self, applied: object) -> None:
        made = self.controller.variant
        if made == BASELINE:
            self.controller.notice.emit("The recipe changed nothing.")
            return
        data = self.controller.session.data().evaluation
        self.workspace.tabs.open_tab("Benchmark")
        self.controller.measure(
            [BASELINE, made],
            BenchOptions(data=data),
            then=lambda _: self.controller.evaluate([BASELINE, made]) if data is not None else None,
        )

    def _ask_export(self, variant: str) -> None:
        self.controller.select(variant)
        self.workspace.tabs.open_tab("Deploy")

    def _measure_shown(self) -> None:
        if "measure" in self._busy:
            self.controller.stop()
        else:
            self.measure(list(dict.fromkeys((BASELINE, self.controller.variant))))

    def _measure_all(self) -> None:
        if self.controller.session.is_open:
            self.measure([variant.id for variant in self.controller.session.project.variants])

    def _highlight(self, nodes: tuple[str, ...]) -> None:
        graph = self.workspace.tabs.made("Graph")
        if graph is not None and self.controller.variant == self.controller.base:
            graph.highlight(nodes)  # type: ignore[attr-defined]

    def _on_theme(self, tokens: Tokens) -> None:
        for part in (self.welcome, self.message, self.menus):
            part.set_tokens(tokens)

    def _refresh(self) -> None:
        session = self.controller.session
        opened, history = session.is_open, session.history
        self._pages.setCurrentWidget(self.workspace if opened else self.welcome)
        self.welcome.set_recent(self.preferences.recent)
        self.setWindowTitle(self._title())
        self._model.setText(session.project.source_name if opened else "")
        measuring = "measure" in self._busy
        self._bar.setVisible(opened)
        self.benchmark.setEnabled(opened and (measuring or not self._busy) and session.detected is not None)
        self.benchmark.setText("Stop" if measuring else "Benchmark")
        actions = self.menus.actions
        undo, redo = (history.undo_label, history.redo_label) if history else ("", "")
        actions["undo"].setText(f"Undo {undo}".strip())
        actions["redo"].setText(f"Redo {redo}".strip())
        actions["undo"].setEnabled(bool(history and history.can_undo))
        actions["redo"].setEnabled(bool(history and history.can_redo))
        for name in ("save", "save_as", "export", "calibration", "evaluation", "recipe_load", "recipe_save", "command"):
            actions[name].setEnabled(opened)
        for name in ("benchmark", "benchmark_all"):
            actions[name].setEnabled(opened and not self._busy)
        actions["stop"].setEnabled(bool(self._busy))

    def _title(self) -> str:
        session = self.controller.session
        if not session.is_open:
            return "Burnish"
        mark = " (read only)" if session.read_only else "" if session.folder else "*"
        return f"{session.project.name}{mark} – Burnish"

    def _connect(self) -> None:
        controller, space = self.controller, self.workspace
        controller.failed.connect(self.message.show_error)
        controller.notice.connect(lambda text: self.statusBar().showMessage(text, _NOTICE_MS))
        controller.changed.connect(self._on_change)
        controller.busy.connect(self._on_busy)
        controller.themed.connect(self._on_theme)
        self.welcome.open_asked.connect(self.files.ask_open)
        self.welcome.sample_asked.connect(self.files.open_sample)
        self.welcome.path_asked.connect(self.files.open)
        space.recipe.apply_asked.connect(self._on_apply)
        space.recipe.help_asked.connect(lambda name: self.help.show_page(page_of(name)))
        space.recipe.hovered.connect(self._highlight)
        space.variants.export_asked.connect(self._ask_export)
        space.variants.benchmark_asked.connect(self.measure)
        self.benchmark.clicked.connect(self._measure_shown)

    def _restore(self) -> None:
        self.resize(1440, 900)
        keep = self.preferences.layout
        geometry: QByteArray = keep("window")
        if not geometry.isEmpty():
            self.restoreGeometry(geometry)
        self.workspace.restore_layout(keep("columns"), keep("rows"))
        if not keep("docks").isEmpty():
            self.restoreState(keep("docks"))

    def _lay_out(self) -> None:
        self._pages.addWidget(self.welcome)
        self._pages.addWidget(self.workspace)
        self.help.hide()
        self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.help)
        self._model.setProperty("heading", True)
        self.benchmark.setToolTip("Measure the shown variant in pairs with the baseline (F5)")
        self._bar.setObjectName("bar")
        self._bar.setMovable(False)
        self.addToolBar(self._bar)
        centre = QWidget()
        whole = column(centre, spacing=0)
        whole.addWidget(self.message)
        whole.addWidget(self._pages, 1)
        self.setCentralWidget(centre)
        self.statusBar().setSizeGripEnabled(False)

    def _make_menus(self) -> None:
        files, menus, gap = self.files, self.menus, Item(SEPARATOR)
        menus.add(
            "&File",
            [
                Item("open", "Open model…", files.ask_open, "Ctrl+O", "folder-open"),
                Item("open_project", "Open project…", files.ask_open_project, "Ctrl+Shift+O"),
                Item("sample", "Open the sample", files.open_sample),
                gap,
                Item("save", "Save", files.save, "Ctrl+S", "save"),
                Item("save_as", "Save as…", files.ask_save_as, "Ctrl+Shift+S"),
                gap,
                Item("export", "Export…", lambda: self._ask_export(self.controller.variant), "Ctrl+E", "download"),
                gap,
                Item("quit", "Quit", self.close, "Ctrl+Q"),
            ],
        )
        menus.add(
            "&Edit",
            [
                Item("undo", "Undo", files.undo, "Ctrl+Z", "undo-2"),
                Item("redo", "Redo", files.redo, "Ctrl+Shift+Z", "redo-2"),
            ],
        )
        data = files.ask_data
        menus.add(
            "&Model",
            [
                Item("calibration", "Calibration data…", partial(data, "calibration", "Calibration data")),
                Item("evaluation", "Evaluation data…", partial(data, "evaluation", "Evaluation data")),
            ],
        )
        menus.add(
            "&Optimize",
            [
                Item("automatic", "Optimize for me", self.automatic.press, "Ctrl+Shift+Return"),
                gap,
                Item("recipe_load", "Load recipe…", files.ask_load_recipe, "", "file-up"),
                Item("recipe_save", "Save recipe…", files.ask_save_recipe, "", "file-down"),
                Item("command", "Copy as command line", files.copy_command, "", "terminal"),
            ],
        )
        menus.add(
            "M&easure",
            [
                Item("benchmark", "Benchmark", self._measure_shown, "F5", "gauge"),
                Item("benchmark_all", "Benchmark all variants", self._measure_all, "Shift+F5"),
                Item("stop", "Stop", self.controller.stop, "Ctrl+.", "square"),
            ],
        )
        view = menus.add("&View", [])
        choices = {"system": "Theme of the system", "light": "Light", "dark": "Dark"}
        menus.add_choices(view, choices, self.preferences.theme, lambda name: self.set_theme(cast(Choice, name)))
        view.addSeparator()
        view.addAction(self.help.toggleViewAction())
        menus.add(
            "&Help",
            [Item("help", "How Burnish works", lambda: self.help.show_page(INDEX), "F1", "circle-help")],
        )
        menus.set_tokens(self.controller.tokens)
        self._fill_bar()

    def _fill_bar(self) -> None:
        bar, actions = self._bar, self.menus.actions
        for name in ("open", "save", "undo", "redo"):
            bar.addAction(actions[name])
        left, right = QWidget(), QWidget()
        for space in (left, right):
            space.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        for part in (left, self._model, right, self.devices, self.benchmark, self.automatic):
            bar.addWidget(part)
