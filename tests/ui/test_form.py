from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import model_validator
from PySide6.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLineEdit, QSpinBox
from pytestqt.qtbot import QtBot

from studio.core.params import Params, param
from studio.locations import load_registry
from studio.ui.recipe.form import ParamsForm


class Every(Params):
    flag: bool = param(False, "A flag.")
    count: int = param(5, "A count.", unit="samples", ge=1, lt=100)
    share: float = param(0.5, "A share.", gt=0, le=1)
    kind: Literal["one", "two"] = param("one", "A kind.")
    level: Literal[4, 8] = param(8, "A number to choose.")
    name: str = param("x", "A name.")
    ops: tuple[str, ...] = param(("Conv",), "Operators.")
    limit: int | None = param(None, "A limit or none.", ge=1)
    secret: int = param(1, "For experts.", advanced=True)

    @model_validator(mode="after")
    def _no_bad_name(self) -> Every:
        if self.name == "bad":
            raise ValueError("the name must be good")
        return self


@pytest.fixture
def form(qtbot: QtBot) -> ParamsForm:
    made = ParamsForm(Every, "test.every")
    qtbot.addWidget(made)
    made.show()
    return made


def test_defaults_are_no_values(form: ParamsForm) -> None:
    assert form.values() == {}
    assert form.error == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flag", True),
        ("count", 7),
        ("share", 0.125),
        ("kind", "two"),
        ("level", "4"),
        ("name", "other"),
        ("ops", ["Gemm", "MatMul"]),
        ("limit", 3),
    ],
)
def test_values_come_back(form: ParamsForm, name: str, value: Any) -> None:
    form.set_values({name: value})
    assert form.values() == {name: value}
    assert form.shows({name: value})
    assert not form.shows({})


def test_every_kind_has_its_editor(form: ParamsForm) -> None:
    editors = {name: type(field.editor).__mro__ for name, field in form.fields.items()}
    wanted = {"flag": QCheckBox, "count": QSpinBox, "share": QDoubleSpinBox, "kind": QComboBox, "name": QLineEdit}
    assert all(kind in editors[name] for name, kind in wanted.items())
    assert all(field.editor.accessibleName() and field.editor.toolTip() for field in form.fields.values())


def test_bounds_and_units(form: ParamsForm) -> None:
    count, share = form.fields["count"].editor, form.fields["share"].editor
    assert isinstance(count, QSpinBox)
    assert isinstance(share, QDoubleSpinBox)
    assert (count.minimum(), count.maximum(), count.suffix()) == (1, 99, " samples")
    assert 0 < share.minimum() < 1e-6
    assert share.text() == share.locale().toString(0.5)


def test_a_wrong_value_is_said_and_not_told(form: ParamsForm, qtbot: QtBot) -> None:
    told: list[dict[str, Any]] = []
    form.changed.connect(told.append)
    editor = form.fields["name"].editor
    assert isinstance(editor, QLineEdit)
    editor.setText("bad")
    assert "the name must be good" in form.error
    assert told == []
    editor.setText("good")
    assert form.error == ""
    assert told == [{"name": "good"}]


def test_optional_is_none_until_it_is_set(form: ParamsForm) -> None:
    form.set_values({"limit": 3})
    assert form.values() == {"limit": 3}
    form.set_values({"limit": None})
    assert form.values() == {}


def test_advanced_is_hidden_at_first(form: ParamsForm) -> None:
    assert not form.fields["secret"].isVisible()
    next(box for box in form.findChildren(QCheckBox) if box.objectName() == "advanced").click()
    assert form.fields["secret"].isVisible()


def test_every_pass_has_a_form_that_takes_its_defaults(qtbot: QtBot) -> None:
    passes = load_registry().passes()
    assert passes
    for the_pass in passes:
        made = ParamsForm(the_pass.Params, the_pass.id)
        qtbot.addWidget(made)
        assert (made.values(), made.error) == ({}, ""), the_pass.id
