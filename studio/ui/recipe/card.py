"""The card of one pass: switch, what its survey says, its form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QEvent, Signal
from PySide6.QtGui import QEnterEvent
from PySide6.QtWidgets import QFrame, QWidget

from studio.core.errors import UsageError
from studio.core.params import parse_params
from studio.core.passes import Need, Pass, Survey
from studio.ui.build import column, heading, named, row, tool, words
from studio.ui.icons import icon
from studio.ui.recipe.form import ParamsForm
from studio.ui.recipe.switch import Switch
from studio.ui.text import expectation
from studio.ui.theme import Tokens


class PassCard(QFrame):
    """Shows a pass; tells when it is switched, changed, asked about or hovered."""

    switched = Signal(str, bool)
    params_changed = Signal(str, dict)
    help_asked = Signal(str)
    hovered = Signal(str)

    def __init__(self, the_pass: Pass, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.pass_id = the_pass.id
        self.setProperty("card", True)
        self.setAccessibleName(the_pass.title)
        self.switch = Switch(tokens)
        self.switch.setAccessibleName(the_pass.title)
        self.switch.setAccessibleDescription(the_pass.summary)
        self.switch.setToolTip(the_pass.summary)
        self.switch.clicked.connect(lambda on: self.switched.emit(self.pass_id, on))
        self._title = named(heading(the_pass.title), tip=the_pass.summary)
        self._says = words("Surveying…")
        self._expects = words()
        self._warns = words(look="bad")
        self._needs = words(_needs(the_pass, {}))
        self._pass = the_pass
        self._values: Mapping[str, Any] = {}
        self._form: ParamsForm | None = None
        self._open = tool(f"Parameters of {the_pass.title}", "Parameters", checkable=True)
        self._open.toggled.connect(self._on_open)
        self._open.setVisible(bool(the_pass.Params.model_fields))
        self._help = tool(f"Help on {the_pass.title}", "What it does, when it helps, what it costs")
        self._help.clicked.connect(lambda: self.help_asked.emit(self.pass_id))
        self._lay_out()
        self.set_tokens(tokens)

    @property
    def form(self) -> ParamsForm:
        """The form, made when it is first opened: most never are."""
        if self._form is None:
            self._form = ParamsForm(self._pass.Params, self.pass_id)
            self._form.set_values(self._values)
            self._form.changed.connect(lambda values: self.params_changed.emit(self.pass_id, values))
            self._whole.addWidget(self._form)
        return self._form

    def open_form(self, opened: bool) -> None:
        """Show or hide the parameters."""
        self._open.setChecked(opened)

    def set_survey(self, survey: Survey | None) -> None:
        """Show what a survey says; None while it runs."""
        if survey is None:
            self._says.setText("Surveying…")
            self._expects.setText("")
        else:
            self._says.setText(survey.summary if survey.applies else survey.why_not or survey.summary)
            self._expects.setText(expectation(survey))
            reasons = dict.fromkeys(found.reason for found in (survey.speed, survey.size) if found is not None)
            self._expects.setToolTip("\n".join((*reasons, *survey.warnings)))
            if survey.speed is not None and survey.speed.reason:
                self._expects.setText(f"{expectation(survey)}: {survey.speed.reason}")
        applies = survey is None or survey.applies
        self.switch.setEnabled(applies or self.switch.isChecked())
        self._title.setEnabled(applies)
        self._expects.setVisible(bool(self._expects.text()))

    def set_state(self, on: bool, params: Mapping[str, Any], refused: str) -> None:
        """Show whether it is on, its parameters, and why it may not stand where it does."""
        self.switch.setChecked(on)
        self._values = params
        if self._form is not None and not self._form.shows(params) and not self._form.error:
            self._form.set_values(params)
        self._warns.setText(refused)
        self._warns.setVisible(bool(refused))
        self._needs.setText(_needs(self._pass, params))
        self._needs.setVisible(on and bool(self._needs.text()))

    def set_tokens(self, tokens: Tokens) -> None:
        """Colour switch and icons."""
        self.switch.set_tokens(tokens)
        self._tokens = tokens
        self._help.setIcon(icon("circle-help", tokens))
        self._draw_arrow()

    def enterEvent(self, event: QEnterEvent) -> None:  # noqa: D102
        self.hovered.emit(self.pass_id)
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:  # noqa: D102
        self.hovered.emit("")
        super().leaveEvent(event)

    def _on_open(self, opened: bool) -> None:
        if opened or self._form is not None:
            self.form.setVisible(opened)
        self._draw_arrow()

    def _draw_arrow(self) -> None:
        self._open.setIcon(icon("chevron-down" if self._open.isChecked() else "chevron-right", self._tokens))

    def _lay_out(self) -> None:
        top = row(spacing=8)
        top.addWidget(self.switch)
        top.addWidget(self._title, 1)
        top.addWidget(self._help)
        top.addWidget(self._open)
        self._whole = whole = column(self, spacing=2, margins=(10, 6, 6, 8))
        whole.addLayout(top)
        for item in (self._says, self._expects, self._needs, self._warns):
            whole.addWidget(item)
        self._warns.hide()
        self._expects.hide()
        self._needs.hide()


def _needs(the_pass: Pass, values: Mapping[str, Any]) -> str:
    texts = {
        Need.CALIBRATION: "Needs calibration data (Model menu); generated inputs are used without it.",
        Need.LABELS: "Needs labelled data.",
        Need.TRAINING: "Trains: this takes long.",
    }
    try:
        params = parse_params(the_pass.Params, values)
    except UsageError:  # the form shows what is wrong
        params = the_pass.Params()
    return " ".join(texts[need] for need in sorted(the_pass.needs_for(params)))
