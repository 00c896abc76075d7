from __future__ import annotations

import pytest
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QApplication

from studio.ui.theme import Scheme, apply_theme, contrast, load_tokens, palette

#: WCAG 2.2, level AA: text, and graphics
TEXT, GRAPHICS = 4.5, 3.0
PAIRS = [
    *((text, page) for text in ("text", "dim", "link", "good", "bad", "neutral") for page in ("window", "surface")),
    ("text", "raised"),
    ("text", "error_surface"),
    ("text", "warning_surface"),
    ("on_accent", "accent"),
    ("on_selection", "selection"),
    ("warning", "warning_surface"),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "page"), PAIRS)
def test_text_reaches_level_aa(scheme: Scheme, text: str, page: str) -> None:
    tokens = load_tokens(scheme)
    assert contrast(getattr(tokens, text), getattr(tokens, page)) >= TEXT


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_chart_colours_stand_out(scheme: Scheme) -> None:
    tokens = load_tokens(scheme)
    assert all(contrast(color, tokens.surface) >= GRAPHICS for color in tokens.series)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_disabled_text_looks_disabled(scheme: Scheme) -> None:
    made = palette(load_tokens(scheme))
    roles = (QPalette.ColorRole.WindowText, QPalette.ColorRole.ButtonText, QPalette.ColorRole.Text)
    for role in roles:
        assert made.color(QPalette.ColorGroup.Disabled, role) != made.color(QPalette.ColorGroup.Active, role)


def test_schemes_differ_and_are_put_on(qapp: QApplication) -> None:
    dark = apply_theme(qapp, "dark")
    assert qapp.palette().color(QPalette.ColorRole.Window).name() == dark.window
    light = apply_theme(qapp, "light")
    assert qapp.palette().color(QPalette.ColorRole.Window).name() == light.window != dark.window
