"""The recipe panel: passes as switches with their surveys and forms, their order, and what to do with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtWidgets import QComboBox, QFrame, QLabel, QPushButton, QScrollArea, QWidget

from studio.core.passes import Pass
from studio.core.project import BASELINE, Project, with_recipe
from studio.core.recipe import Recipe, Step
from studio.ui.build import column, heading, named, row, words
from studio.ui.controller import Controller
from studio.ui.edits import Edits
from studio.ui.idle import in_turns, polish
from studio.ui.recipe.card import PassCard
from studio.ui.recipe.order import StepOrder
from studio.ui.recipe.plan import position, refusals, reorder, set_params, suggest, switch
from studio.ui.theme import Tokens

LEVELS = {"graph": "Graph", "precision": "Precision", "structure": "Structure", "runtime": "Runtime"}
#: milliseconds without typing after which parameters become one edit that can be undone
_PAUSE = 400


class RecipePanel(QWidget):
    """Edits the project's recipe. `hovered` gives the nodes that the pass under the pointer would touch."""

    help_asked = Signal(str)
    hovered = Signal(tuple)
    apply_asked = Signal(object, bool)

    def __init__(self, controller: Controller, edits: Edits, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._edits = edits
        self._passes: dict[str, Pass] = {}
        self._drafts: dict[str, dict[str, Any]] = {}
        self._recipe = Recipe()
        self._document: tuple[str, str, str] | None = None
        self._untouched = True
        self._complete = False
        self._pending = 0
        self._label = ""
        self._pause = QTimer(self, singleShot=True, interval=_PAUSE)
        self._pause.timeout.connect(self.commit)
        self.cards: dict[str, PassCard] = {}
        self.base = named(QComboBox(), "Start from", "The variant that the recipe is applied to")
        self.base.activated.connect(lambda row: controller.start_from(self.base.itemData(row)))
        self.order = StepOrder(controller.tokens)
        self.order.reordered.connect(self._on_order)
        self.apply = named(QPushButton("Apply"), tip="Make the variants (Ctrl+Return)")
        self.apply.setShortcut("Ctrl+Return")
        self.apply.clicked.connect(lambda: self._ask(False))
        self.measure = QPushButton("Apply and measure")
        self.measure.setToolTip("Make the variants, then measure speed and accuracy against the baseline")
        self.measure.setProperty("primary", True)
        self.measure.clicked.connect(lambda: self._ask(True))
        self._busy: set[str] = set()
        self._cards = column()
        self._lay_out()
        controller.changed.connect(self._on_change)
        controller.busy.connect(self._on_busy)
        controller.themed.connect(self._on_theme)
        self._show()

    @property
    def recipe(self) -> Recipe:
        """The recipe as it is shown, what was typed last included."""
        return self._recipe

    def set_passes(self, passes: tuple[Pass, ...]) -> None:
        """Make a card for each pass, grouped by level, in small turns."""
        self._passes = {the_pass.id: the_pass for the_pass in passes}
        in_turns(self, self._add_cards(passes))

    def _add_cards(self, passes: tuple[Pass, ...]) -> Iterator[None]:
        for family, title in LEVELS.items():
            members = [the_pass for the_pass in passes if the_pass.family == family]
            if members:
                self._cards.addWidget(words(title))
            for the_pass in members:
                self._cards.addWidget(self._card(the_pass))
                yield
        self._cards.addStretch(1)
        yield from polish(self)
        self._complete = True
        self._take_surveys()
        self._show()

    def load(self, recipe: Recipe) -> None:
        """Take over another recipe, such as one from a file; undoable."""
        resolved = self._controller.session.work.resolve(recipe)
        self._change(resolved, "load a recipe")
        self.commit()

    def commit(self) -> None:
        """Write what is shown into the document as one edit."""
        self._pause.stop()
        session, recipe, label = self._controller.session, self._recipe, self._label
        if label and session.is_open:
            self._label = ""
            self._pending += 1
            self._edits.add(lambda: session.edit(label, lambda doc: with_recipe(doc, recipe)), self._committed)

    def _committed(self) -> None:
        self._pending -= 1
        self._on_change("project")

    def _ask(self, measure: bool) -> None:
        if not self._label and self._untouched:
            self._label = "take over the suggested recipe"
        self._untouched = False
        self.commit()
        self.apply_asked.emit(self._recipe, measure)

    # changes by the user

    def _on_switch(self, pass_id: str, on: bool) -> None:
        the_pass = self._passes[pass_id]
        made = switch(_unnamed(self._recipe), the_pass, on, self._drafts.get(pass_id, {}), self._get_pass)
        self._change(made, f"switch {the_pass.title} {'on' if on else 'off'}")
        self.commit()

    def _on_params(self, pass_id: str, values: dict[str, Any]) -> None:
        self._drafts[pass_id] = values
        if position(self._recipe, pass_id) is not None:
            self._change(set_params(_unnamed(self._recipe), pass_id, values), f"change {self._passes[pass_id].title}")
            self._pause.start()

    def _on_order(self, order: list[str]) -> None:
        # The list must not be filled anew while it is moving a row.
        QTimer.singleShot(0, self, lambda: self._reorder(order))

    def _reorder(self, order: list[str]) -> None:
        self._change(reorder(_unnamed(self._recipe), order), "reorder the recipe")
        self.commit()

    def _change(self, recipe: Recipe, label: str) -> None:
        self._recipe, self._label, self._untouched = recipe, label, False
        self._show()

    # changes from elsewhere

    def _on_change(self, topic: str) -> None:
        session = self._controller.session
        if topic == "surveys":
            self._take_surveys()
        if topic in ("project", "variants"):
            self._fill_base()
            if session.is_open:
                self._take_document(session.project)
        self._show()

    def _take_document(self, project: Project) -> None:
        """Show the document's recipe; an empty one of a new document gives way to a suggestion."""
        document = (project.created_at, project.source_path, project.baseline.model)
        if document != self._document:
            self._document = document
            self._recipe, self._label, self._untouched, self._drafts = project.recipe, "", True, {}
            for card in self.cards.values():
                card.set_survey(None)
        elif not self._pending and not self._label and (project.recipe.steps or not self._untouched):
            self._recipe = project.recipe

    def _take_surveys(self) -> None:
        surveys = self._controller.session.surveys
        for pass_id, card in self.cards.items():
            card.set_survey(surveys.get(pass_id))
        if self._untouched and not self._recipe.steps and surveys:
            self._recipe = suggest(self._passes.values(), surveys, self._get_pass)
        self._show()

    def _on_busy(self, kind: str, busy: bool) -> None:
        (self._busy.add if busy else self._busy.discard)(kind)
        self._show()

    def _on_theme(self, tokens: Tokens) -> None:
        self.order.set_tokens(tokens)
        for card in self.cards.values():
            card.set_tokens(tokens)
        self._show()

    def _on_hover(self, pass_id: str) -> None:
        survey = self._controller.session.surveys.get(pass_id)
        self.hovered.emit(survey.nodes if survey else ())

    # showing

    def _show(self) -> None:
        refused = refusals(self._recipe, self._get_pass, self._earlier()) if self._passes else {}
        for pass_id, card in self.cards.items():
            at = position(self._recipe, pass_id)
            params = self._drafts.get(pass_id, {}) if at is None else self._recipe.steps[at].params
            card.set_state(at is not None, params, refused.get(pass_id, ""))
        titles = {name: the_pass.title for name, the_pass in self._passes.items()}
        self.order.set_steps([step.pass_id for step in self._recipe.active], titles, refused)
        ready = (
            self._complete
            and bool(self._recipe.active)
            and not refused
            and not self._busy
            and self._controller.session.is_open
        )
        self.apply.setEnabled(ready)
        self.measure.setEnabled(ready)

    def _fill_base(self) -> None:
        session = self._controller.session
        with QSignalBlocker(self.base):
            self.base.clear()
            for variant in session.project.variants if session.is_open else ():
                self.base.addItem(variant.name, variant.id)
            self.base.setCurrentIndex(max(0, self.base.findData(self._controller.base)))

    def _earlier(self) -> tuple[Step, ...]:
        session, base = self._controller.session, self._controller.base
        if not session.is_open or base == BASELINE or base not in {item.id for item in session.project.variants}:
            return ()
        return session.project.recipe_of(base).steps

    def _get_pass(self, pass_id: str) -> Pass:
        known: Mapping[str, Pass] = self._passes
        return known[pass_id] if pass_id in known else self._controller.session.work.registry.get_pass(pass_id)

    def _card(self, the_pass: Pass) -> PassCard:
        card = PassCard(the_pass, self._controller.tokens)
        card.switched.connect(self._on_switch)
        card.params_changed.connect(self._on_params)
        card.help_asked.connect(self.help_asked)
        card.hovered.connect(self._on_hover)
        self.cards[the_pass.id] = card
        return card

    def _lay_out(self) -> None:
        start = row(spacing=8)
        start.addWidget(heading("Recipe"))
        start.addStretch(1)
        label = QLabel("Start from")
        label.setBuddy(self.base)
        start.addWidget(label)
        start.addWidget(self.base)
        inner = QWidget()
        inner.setLayout(self._cards)
        self._cards.setContentsMargins(0, 0, 6, 0)
        scroll = QScrollArea(widgetResizable=True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        buttons = row(spacing=8)
        buttons.addStretch(1)
        buttons.addWidget(self.apply)
        buttons.addWidget(self.measure)
        whole = column(self, spacing=8, margins=(10, 6, 6, 8))
        whole.addLayout(start)
        whole.addWidget(self.order)
        whole.addWidget(scroll, 1)
        whole.addLayout(buttons)


def _unnamed(recipe: Recipe) -> Recipe:
    """Take the name off: an edited recipe is no longer what it says."""
    return recipe.model_copy(update={"name": ""})
