"""The panel of variants: the tree, and what can be done with each."""

from __future__ import annotations

from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QHeaderView, QMenu, QTreeView, QWidget

from studio.core.project import BASELINE, Variant, remove_variant, rename_variant, with_recipe
from studio.ui.build import column, heading, named
from studio.ui.controller import Controller
from studio.ui.edits import Edits
from studio.ui.rows import RowDelegate
from studio.ui.theme import Tokens
from studio.ui.variants.figures import FigureCache, Figures
from studio.ui.variants.model import NAME, VariantModel


class VariantsPanel(QWidget):
    """Shows the tree of variants; choosing one shows it everywhere."""

    export_asked = Signal(str)
    benchmark_asked = Signal(list)

    def __init__(self, controller: Controller, edits: Edits, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._edits = edits
        self._cache = FigureCache()
        self._figures_wanted = self._figures_running = False
        self.model = VariantModel(controller.tokens, self)
        self.tree = _tree(self.model)
        self.model.rename_asked.connect(self._rename)
        self.tree.selectionModel().currentChanged.connect(self._on_current)
        self.tree.customContextMenuRequested.connect(self._show_menu)
        self._actions = self._make_actions()
        title = heading("Variants")
        title.setMargin(6)
        whole = column(self, spacing=0)
        whole.addWidget(title)
        whole.addWidget(self.tree)
        controller.changed.connect(self._on_change)
        controller.selected.connect(self._mark)
        controller.themed.connect(self._on_theme)

    @property
    def current(self) -> Variant | None:
        """The variant that is chosen in the tree."""
        return self.model.variant(self.tree.currentIndex())

    def remove_current(self) -> None:
        """Remove the chosen variant and what was made from it; undoable."""
        chosen = self.current
        if chosen is not None and chosen.id != BASELINE:
            session, gone = self._controller.session, chosen.id
            label = f"remove {chosen.name}"
            self._edits.add(lambda: session.edit(label, lambda doc: remove_variant(doc, gone), "variants"))

    def _rename(self, variant: str, name: str) -> None:
        session = self._controller.session
        self._edits.add(lambda: session.edit(f"rename to {name}", lambda doc: rename_variant(doc, variant, name)))

    def _edit_recipe(self) -> None:
        chosen = self.current
        if chosen is not None:
            session, name = self._controller.session, chosen.id
            self._edits.add(
                lambda: session.edit("take over a recipe", lambda doc: with_recipe(doc, doc.recipe_of(name)))
            )

    def _make_actions(self) -> dict[str, QAction]:
        made: dict[str, QAction] = {}
        for name, label, keys, call in (
            ("benchmark", "Benchmark against the baseline", "", self._benchmark),
            ("export", "Export…", "", self._export),
            ("recipe", "Edit its recipe", "", self._edit_recipe),
            ("rename", "Rename", "F2", lambda: self.tree.edit(self.tree.currentIndex().siblingAtColumn(NAME))),
            ("remove", "Remove", "Del", self.remove_current),
        ):
            action = QAction(label, self)
            action.triggered.connect(call)
            if keys:
                action.setShortcut(QKeySequence(keys))
                action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            self.tree.addAction(action)
            made[name] = action
        return made

    def _benchmark(self) -> None:
        if self.current is not None:
            self.benchmark_asked.emit(list(dict.fromkeys((BASELINE, self.current.id))))

    def _export(self) -> None:
        if self.current is not None:
            self.export_asked.emit(self.current.id)

    def _show_menu(self, where: QPoint) -> None:
        index = self.tree.indexAt(where)
        if not index.isValid():
            return
        self.tree.setCurrentIndex(index.siblingAtColumn(NAME))
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addActions(list(self._actions.values()))
        menu.popup(self.tree.viewport().mapToGlobal(where))

    def _on_current(self, index: QModelIndex) -> None:
        chosen = self.model.variant(index)
        for name in ("rename", "remove", "recipe"):
            self._actions[name].setEnabled(chosen is not None and (name == "rename" or chosen.id != BASELINE))
        if chosen is not None:
            self._controller.select(chosen.id)

    def _on_change(self, topic: str) -> None:
        if topic in ("project", "variants"):
            session = self._controller.session
            self.tree.selectionModel().blockSignals(True)
            self.model.set_project(session.project if session.is_open else None)
            self.tree.selectionModel().blockSignals(False)
            self.tree.expandAll()
            self._mark(self._controller.variant)
        if topic in ("project", "measurements", "evaluations", "devices"):
            self._compute_figures()

    def _mark(self, variant: str) -> None:
        index = self.model.index_of(variant)
        if index.isValid() and index != self.tree.currentIndex():
            flag = QItemSelectionModel.SelectionFlag
            self.tree.selectionModel().setCurrentIndex(index, flag.ClearAndSelect | flag.Rows)

    def _compute_figures(self) -> None:
        """Compute in the background; while it runs, later wishes become one."""
        if self._figures_running:
            self._figures_wanted = True
            return
        self._figures_running, self._figures_wanted = True, False
        session, device = self._controller.session, self._controller.device
        measurements, evaluations = session.measurements, session.evaluations
        self._controller.background.run(
            lambda: self._cache.compute(measurements, evaluations, device), self._take_figures, self._fail_figures
        )

    def _take_figures(self, figures: dict[str, Figures]) -> None:
        self.model.set_figures(figures)
        self._figures_running = False
        if self._figures_wanted:
            self._compute_figures()

    def _fail_figures(self, error: object) -> None:
        self._figures_running = False
        self._controller.failed.emit(error)

    def _on_theme(self, tokens: Tokens) -> None:
        self.model.set_tokens(tokens)


def _tree(model: VariantModel) -> QTreeView:
    tree = named(QTreeView(uniformRowHeights=True, allColumnsShowFocus=True, indentation=14), "Variants")
    tree.setModel(model)
    tree.setItemDelegate(RowDelegate(tree))
    tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    tree.setFrameShape(QTreeView.Shape.NoFrame)
    tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
    tree.setEditTriggers(QTreeView.EditTrigger.EditKeyPressed)
    header = tree.header()
    header.setStretchLastSection(False)
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
    return tree
