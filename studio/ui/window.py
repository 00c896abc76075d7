"""The main window: painted with nothing but Qt; what needs a session is put on its desk afterwards.

Nothing that costs time is imported here: the first picture would wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, Qt, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QLabel,
    QMainWindow,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QToolBar,
    QWidget,
)

from studio.ui.actions import fill
from studio.ui.build import column
from studio.ui.drop import dropped
from studio.ui.help import HelpDock
from studio.ui.idle import in_turns, polish
from studio.ui.menus import Menus
from studio.ui.message import MessageBar
from studio.ui.preferences import Preferences
from studio.ui.theme import Choice, Tokens, apply_theme
from studio.ui.translate import tr
from studio.ui.welcome import Welcome

if TYPE_CHECKING:
    from studio.session import Session
    from studio.ui.automatic.button import AutomaticButton
    from studio.ui.commands import CommandPalette
    from studio.ui.controller import Controller
    from studio.ui.desk import Desk
    from studio.ui.devices import DeviceSelector
    from studio.ui.edits import Edits
    from studio.ui.files import Files
    from studio.ui.settings import SettingsPage
    from studio.ui.tour import Tour
    from studio.ui.workspace import Workspace

#: what is enabled while a model is open, and what also wants that nothing runs
_OPEN = ("save", "save_as", "export", "calibration", "evaluation", "recipe_load", "recipe_save", "command")
_IDLE = ("benchmark", "benchmark_all")


class MainWindow(QMainWindow):
    """One project's window.

    Parameters
    ----------
    session
        What it shows, closed by the caller; None when it comes later, see `furnish`.
    preferences
        What is remembered between starts.
    tokens
        The theme that the application wears.
    """

    #: the user asks for another window; for another theme; the window is closed
    another_asked = Signal()
    themed = Signal(str)
    closed = Signal()

    controller: Controller
    edits: Edits
    files: Files
    workspace: Workspace
    devices: DeviceSelector
    automatic: AutomaticButton

    def __init__(self, session: Session | None, preferences: Preferences, tokens: Tokens) -> None:
        super().__init__()
        self.preferences = preferences
        self.tokens = tokens
        self.desk: Desk | None = None
        self.welcome = Welcome()
        self.message = MessageBar()
        self.help = HelpDock(self)
        self.menus = Menus(self)
        self.benchmark = QPushButton(tr("Benchmark"))
        self.palette_of_commands: CommandPalette | None = None
        self.settings: SettingsPage | None = None
        self.tour: Tour | None = None
        self._waiting: list[Callable[[], object]] = []
        self._pages = QStackedWidget()
        self._model = QLabel()
        self._bar = QToolBar(tr("Main"))
        self.setAcceptDrops(True)
        self._lay_out()
        fill(self)
        self._restore()
        if session is not None:
            for _ in self.furnish(session):
                pass
        self.refresh()

    # furnishing

    def furnish(self, session: Session) -> Iterator[None]:
        """Put everything in that needs a session, in small steps."""
        from studio.ui.automatic.button import AutomaticButton
        from studio.ui.desk import Desk

        desk = Desk(self, session)
        self.controller, self.edits, self.workspace = desk.controller, desk.edits, desk.workspace
        self.devices = desk.devices
        yield
        yield from desk.build()
        self.files = desk.files
        self.automatic = AutomaticButton(self.controller, self.workspace.tabs)
        self._pages.addWidget(self.workspace)
        self.workspace.restore_layout(self.preferences.layout("columns"), self.preferences.layout("rows"))
        self._fill_bar()
        yield
        self.desk = desk
        self.dress()
        self.refresh()

    def dress(self) -> None:
        """Draw the icons: the first picture does without."""
        for part in (self.welcome, self.message, self.menus):
            part.set_tokens(self.tokens)

    def begin(self, paths: list[Path]) -> None:
        """Start the work that needs a session, and open what was asked for, now and before."""
        registry = self.controller.session.work.registry
        self.controller.background.run(registry.passes, self.workspace.recipe.set_passes, self.controller.failed.emit)
        self.controller.detect()
        in_turns(self, polish(self.workspace))
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()
        for path in paths:
            self.open(path)

    # what the user asks for

    def open(self, path: Path) -> None:
        """Open a model, project or recipe, ``--sample`` for the sample; as soon as that is possible."""
        if str(path) == "--sample":
            self._when_ready(lambda: self.files.open_sample())
        else:
            self._when_ready(lambda: self.files.open(path))

    def open_sample(self) -> None:
        """Open the sample."""
        self.open(Path("--sample"))

    def ask_open(self) -> None:
        """Ask for a model and open it."""
        from studio.ui.dialogs import ask_file

        ask_file(self, tr("Open model"), tr("ONNX models (*.onnx)"), self.open)

    def ask_open_project(self) -> None:
        """Ask for a project and open it."""
        from studio.ui.dialogs import ask_folder

        ask_folder(self, tr("Open project (a folder NAME.burnish)"), self.open)

    def measure(self, variants: list[str]) -> None:
        """Benchmark variants live."""
        if self.desk is not None:
            self.desk.measure(variants)

    def set_theme(self, choice: Choice) -> None:
        """Dress the application anew and remember it."""
        self.preferences.theme = choice
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        self.wear(apply_theme(app, choice))
        self.themed.emit(choice)

    def wear(self, tokens: Tokens) -> None:
        """Take over the theme that the application was dressed in."""
        self.tokens = tokens
        if self.desk is not None:
            self.controller.set_tokens(tokens)
        else:
            self.on_theme(tokens)

    def show_palette(self) -> None:
        """Show the command palette."""
        from studio.ui.commands import CommandPalette

        if self.palette_of_commands is None:
            self.palette_of_commands = CommandPalette(self)
        self.palette_of_commands.open()

    def show_settings(self) -> None:
        """Show the settings, beside the work."""
        from studio.ui.settings import SettingsPage

        if self.settings is None:
            self.settings = SettingsPage(self)
        self.settings.open_page()

    def show_tour(self) -> None:
        """Lead through the window, on the sample when nothing is open."""
        from studio.ui.tour import Tour

        if self.tour is None:
            self.tour = Tour(self)
        self.tour.start()

    @property
    def busy(self) -> bool:
        """Whether work that the user asked for is under way."""
        return self.desk is not None and bool(self.desk.busy)

    # events

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: D102
        if dropped(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: D102
        event.acceptProposedAction()
        for path in dropped(event.mimeData()):
            self.open(path)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: D102
        if not (self.may_stop() and self.may_discard()):
            event.ignore()
            return
        states = {"window": self.saveGeometry(), "docks": self.saveState()}
        if self.desk is not None:
            self.workspace.recipe.commit()
            states |= self.workspace.keep_layout()
            self.desk.close()
        self.preferences.keep(states)
        event.accept()
        self.closed.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: D102
        if event.key() == Qt.Key.Key_Escape and self.message.isVisible():
            self.message.hide()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: D102
        super().resizeEvent(event)
        for part in (self.palette_of_commands, self.tour):
            if part is not None:
                part.place()

    def may_stop(self) -> bool:
        """Ask before work that runs is stopped."""
        from studio.ui.dialogs import confirm

        return not self.busy or confirm(
            self,
            tr("Jobs are running"),
            tr("Closing the window stops its jobs. What they have not finished is lost."),
            tr("Stop them and close"),
            tr("Go on working"),
        )

    def may_discard(self) -> bool:
        """Ask before variants that were never saved are lost."""
        from studio.ui.dialogs import confirm

        session = self.controller.session if self.desk is not None else None
        if session is None or not session.is_open or session.folder is not None or len(session.project.variants) < 2:
            return True
        return confirm(
            self,
            tr("Unsaved project"),
            tr("This project was not saved. Its variants and measurements will be lost."),
            tr("Discard"),
            tr("Cancel"),
        )

    # reactions

    def on_theme(self, tokens: Tokens) -> None:
        """Dress the parts that need no session."""
        self.tokens = tokens
        self.dress()

    def refresh(self) -> None:
        """Show what may be done now."""
        session = self.controller.session if self.desk is not None else None
        opened = session is not None and session.is_open
        history = session.history if session is not None else None
        if self.desk is not None:
            self._pages.setCurrentWidget(self.workspace if opened else self.welcome)
        self.welcome.set_recent(self.preferences.recent)
        self.setWindowTitle(self._title())
        self._model.setText(session.project.source_name if session is not None and opened else "")
        measuring = self.desk is not None and "measure" in self.desk.busy
        self._bar.setVisible(opened)
        known = session is not None and session.detected is not None
        self.benchmark.setEnabled(opened and (measuring or not self.busy) and known)
        self.benchmark.setText(tr("Stop") if measuring else tr("Benchmark"))
        actions = self.menus.actions
        undo, redo = (history.undo_label, history.redo_label) if history else ("", "")
        actions["undo"].setText(tr("Undo {edit}", edit=undo).strip())
        actions["redo"].setText(tr("Redo {edit}", edit=redo).strip())
        actions["undo"].setEnabled(bool(history and history.can_undo))
        actions["redo"].setEnabled(bool(history and history.can_redo))
        for name in _OPEN:
            actions[name].setEnabled(opened)
        for name in _IDLE:
            actions[name].setEnabled(opened and not self.busy)
        actions["stop"].setEnabled(self.busy)

    def _title(self) -> str:
        session = self.controller.session if self.desk is not None else None
        if session is None or not session.is_open:
            return tr("Burnish")
        mark = tr(" (read only)") if session.read_only else "" if session.folder else "*"
        return tr("{project}{mark} – Burnish", project=session.project.name, mark=mark)

    def _when_ready(self, call: Callable[[], object]) -> None:
        if self.desk is None:
            self.welcome.set_busy(True)
            self._waiting.append(call)
        else:
            call()

    def _restore(self) -> None:
        self.resize(1440, 900)
        keep = self.preferences.layout
        geometry: QByteArray = keep("window")
        if not geometry.isEmpty():
            self.restoreGeometry(geometry)
        if not keep("docks").isEmpty():
            self.restoreState(keep("docks"))

    def _lay_out(self) -> None:
        self._pages.addWidget(self.welcome)
        self.welcome.open_asked.connect(self.ask_open)
        self.welcome.sample_asked.connect(self.open_sample)
        self.welcome.path_asked.connect(self.open)
        self.welcome.tour_asked.connect(self.show_tour)
        self.help.hide()
        self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.help)
        self._model.setProperty("heading", True)
        self.benchmark.setToolTip(tr("Measure the shown variant in pairs with the baseline (F5)"))
        self._bar.setObjectName("bar")
        self._bar.setMovable(False)
        self.addToolBar(self._bar)
        centre = QWidget()
        whole = column(centre, spacing=0)
        whole.addWidget(self.message)
        whole.addWidget(self._pages, 1)
        self.setCentralWidget(centre)
        self.statusBar().setSizeGripEnabled(False)

    def _fill_bar(self) -> None:
        bar, actions = self._bar, self.menus.actions
        for name in ("open", "save", "undo", "redo"):
            bar.addAction(actions[name])
        left, right = QWidget(), QWidget()
        for space in (left, right):
            space.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        for part in (left, self._model, right, self.devices, self.benchmark, self.automatic):
            bar.addWidget(part)
