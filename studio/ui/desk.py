"""What a window works with once the first picture is painted: controller, edits, files, workspace, and their bonds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from studio.benchmark import BenchOptions
from studio.core.project import BASELINE
from studio.core.recipe import Recipe
from studio.core.recovery import Recovery
from studio.core.runtime import RunOptions
from studio.locations import recovery_folder
from studio.session import Session
from studio.ui.autosave import Autosave
from studio.ui.controller import Controller
from studio.ui.devices import DeviceSelector
from studio.ui.edits import Edits
from studio.ui.files import Files
from studio.ui.help import page_of
from studio.ui.notices import Notices
from studio.ui.translate import tr
from studio.ui.workspace import Workspace

if TYPE_CHECKING:
    from studio.ui.window import MainWindow

_NOTICE_MS = 6000


class Desk(QObject):
    """The heavy half of a window: all that needs a session.

    Parameters
    ----------
    window
        The window that it is for.
    session
        What the window shows; closed by its maker.
    """

    def __init__(self, window: MainWindow, session: Session) -> None:
        super().__init__(window)
        self._window = window
        self.controller = Controller(session, window.tokens, self)
        self.edits = Edits(self.controller)
        self.workspace = Workspace(self.controller, self.edits)
        self.devices = DeviceSelector(self.controller)
        self.busy: set[str] = set()

    def build(self) -> Iterator[None]:
        """Make the workspace in small steps, then connect everything."""
        yield from self.workspace.build()
        self.files = Files(self.controller, self.edits, self._window.preferences, self.workspace.recipe, self._window)
        self.autosave = Autosave(self.controller, self.edits, Recovery(recovery_folder()))
        self.notices = Notices(self.controller, self._window, self._window.preferences)
        self._connect()

    def measure(self, variants: list[str]) -> None:
        """Benchmark variants live."""
        self.workspace.tabs.open_tab("Benchmark")
        self.controller.measure(variants, self._options())

    def measure_shown(self) -> None:
        """Benchmark the shown variant against the baseline; stop when a benchmark runs."""
        if "measure" in self.busy:
            self.controller.stop()
        else:
            self.measure(list(dict.fromkeys((BASELINE, self.controller.variant))))

    def measure_all(self) -> None:
        """Benchmark every variant."""
        if self.controller.session.is_open:
            self.measure([variant.id for variant in self.controller.session.project.variants])

    def ask_export(self, variant: str) -> None:
        """Show where a variant is exported."""
        self.controller.select(variant)
        self.workspace.tabs.open_tab("Deploy")

    def export_shown(self) -> None:
        """Show where the shown variant is exported."""
        self.ask_export(self.controller.variant)

    def close(self) -> None:
        """Stop everything; a session that ends so needs no rescue."""
        self.autosave.close()
        self.controller.stop()
        self.edits.close()
        self.controller.close()

    # reactions

    def _options(self) -> BenchOptions:
        options = BenchOptions(data=self.controller.session.data().evaluation)
        threads = self._window.preferences.threads
        return options.model_copy(update={"run": RunOptions(threads=threads)}) if threads else options

    def _on_busy(self, kind: str, busy: bool) -> None:
        (self.busy.add if busy else self.busy.discard)(kind)
        if kind == "open":
            self._window.welcome.set_busy(busy)
        if kind == "measure" and busy:
            self.workspace.tabs.open_tab("Benchmark")
        self._window.refresh()

    def _on_change(self, _topic: str) -> None:
        self._window.refresh()
        if self.controller.session.is_open:
            self.workspace.tabs.wake()

    def _on_apply(self, recipe: Recipe, measure: bool) -> None:
        self._window.message.hide()
        self.controller.apply(recipe, recipe.name, then=self._measure_applied if measure else None)

    def _measure_applied(self, _applied: object) -> None:
        made = self.controller.variant
        if made == BASELINE:
            self.controller.notice.emit(tr("The recipe changed nothing."))
            return
        options = self._options()
        self.workspace.tabs.open_tab("Benchmark")
        self.controller.measure(
            [BASELINE, made],
            options,
            then=lambda _: self.controller.evaluate([BASELINE, made]) if options.data is not None else None,
        )

    def _highlight(self, nodes: tuple[str, ...]) -> None:
        graph = self.workspace.tabs.made("Graph")
        if graph is not None and self.controller.variant == self.controller.base:
            graph.highlight(nodes)  # type: ignore[attr-defined]

    def _connect(self) -> None:
        controller, space, window = self.controller, self.workspace, self._window
        controller.failed.connect(window.message.show_error)
        controller.notice.connect(lambda text: window.statusBar().showMessage(text, _NOTICE_MS))
        controller.changed.connect(self._on_change)
        controller.busy.connect(self._on_busy)
        controller.themed.connect(window.on_theme)
        space.recipe.apply_asked.connect(self._on_apply)
        space.recipe.help_asked.connect(lambda name: window.help.show_page(page_of(name)))
        space.recipe.hovered.connect(self._highlight)
        space.variants.export_asked.connect(self.ask_export)
        space.variants.benchmark_asked.connect(self.measure)
        window.benchmark.clicked.connect(lambda: self.measure_shown())
