"""Every action of the window: its menu, words, keys, and what it does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from studio.ui.help import INDEX
from studio.ui.menus import SEPARATOR, Item
from studio.ui.theme import Choice
from studio.ui.translate import tr

if TYPE_CHECKING:
    from studio.ui.desk import Desk
    from studio.ui.window import MainWindow

_GAP = Item(SEPARATOR)


def fill(window: MainWindow) -> None:
    """Make the menus. What needs a session is looked up when it is chosen: it comes after the first picture."""
    add = window.menus.add
    add(tr("&File"), _file(window))
    add(tr("&Edit"), _edit(window))
    add(
        tr("&Model"),
        [
            Item("calibration", tr("Calibration data…"), partial(_ask_data, window, "calibration")),
            Item("evaluation", tr("Evaluation data…"), partial(_ask_data, window, "evaluation")),
        ],
    )
    add(
        tr("&Optimize"),
        [
            Item("automatic", tr("Optimize for me"), lambda: window.automatic.press(), "Ctrl+Shift+Return"),
            _GAP,
            Item("recipe_load", tr("Load recipe…"), lambda: window.files.ask_load_recipe(), "", "file-up"),
            Item("recipe_save", tr("Save recipe…"), lambda: window.files.ask_save_recipe(), "", "file-down"),
            Item("command", tr("Copy as command line"), lambda: window.files.copy_command(), "", "terminal"),
        ],
    )
    add(
        tr("M&easure"),
        [
            Item("benchmark", tr("Benchmark"), lambda: _desk(window).measure_shown(), "F5", "gauge"),
            Item("benchmark_all", tr("Benchmark all variants"), lambda: _desk(window).measure_all(), "Shift+F5"),
            Item("stop", tr("Stop"), lambda: window.controller.stop(), "Ctrl+.", "square"),
        ],
    )
    _fill_view(window)
    _fill_help(window)


def _file(window: MainWindow) -> list[Item]:
    return [
        Item("new_window", tr("New window"), window.another_asked.emit, "Ctrl+N"),
        _GAP,
        Item("open", tr("Open model…"), window.ask_open, "Ctrl+O", "folder-open"),
        Item("open_project", tr("Open project…"), window.ask_open_project, "Ctrl+Shift+O"),
        Item("sample", tr("Open the sample"), window.open_sample),
        _GAP,
        Item("save", tr("Save"), lambda: window.files.save(), "Ctrl+S", "save"),
        Item("save_as", tr("Save as…"), lambda: window.files.ask_save_as(), "Ctrl+Shift+S"),
        _GAP,
        Item("export", tr("Export…"), lambda: _desk(window).export_shown(), "Ctrl+E", "download"),
        _GAP,
        Item("close", tr("Close window"), window.close, "Ctrl+W"),
        Item("quit", tr("Quit"), _quit, "Ctrl+Q"),
    ]


def _edit(window: MainWindow) -> list[Item]:
    return [
        Item("undo", tr("Undo"), lambda: window.files.undo(), "Ctrl+Z", "undo-2"),
        Item("redo", tr("Redo"), lambda: window.files.redo(), "Ctrl+Shift+Z", "redo-2"),
        _GAP,
        Item("settings", tr("Settings…"), window.show_settings, "Ctrl+,"),
    ]


def _fill_view(window: MainWindow) -> None:
    palette = Item("palette", tr("Command palette…"), window.show_palette, "Ctrl+Shift+P; Ctrl+K")
    view = window.menus.add(tr("&View"), [palette, _GAP])
    choices = {"system": tr("Theme of the system"), "light": tr("Light"), "dark": tr("Dark")}
    made = window.menus.add_choices(
        view, choices, window.preferences.theme, lambda name: window.set_theme(cast(Choice, name))
    )
    window.menus.actions |= {f"theme_{name}": action for name, action in made.items()}
    view.addSeparator()
    view.addAction(window.help.toggleViewAction())


def _fill_help(window: MainWindow) -> None:
    window.menus.add(
        tr("&Help"),
        [
            Item("help", tr("How Burnish works"), lambda: window.help.show_page(INDEX), "F1", "circle-help"),
            Item("shortcuts", tr("Keyboard shortcuts"), lambda: window.help.show_page("shortcuts"), "Ctrl+F1"),
            Item("glossary", tr("Glossary"), lambda: window.help.show_page("glossary")),
            Item("tour", tr("Guided tour"), window.show_tour),
        ],
    )


def _desk(window: MainWindow) -> Desk:
    assert window.desk is not None  # its actions are disabled until then
    return window.desk


def _ask_data(window: MainWindow, setting: str) -> None:
    title = tr("Calibration data") if setting == "calibration" else tr("Evaluation data")
    window.files.ask_data(setting, title)


def _quit() -> None:
    from PySide6.QtWidgets import QApplication

    QApplication.closeAllWindows()
