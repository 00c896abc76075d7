from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from studio.core.project import BASELINE
from studio.core.recipe import read_recipe
from studio.ui.preferences import Preferences
from studio.ui.theme import load_tokens
from studio.ui.window import MainWindow
from tests.ui.conftest import SAMPLE, Heard, Watchdog


def drop(window: MainWindow, path: Path) -> bool:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    left, keys, action = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, Qt.DropAction.CopyAction
    enter = QDragEnterEvent(QPoint(5, 5), action, data, left, keys)
    enter.ignore()
    window.dragEnterEvent(enter)
    if enter.isAccepted():
        window.dropEvent(QDropEvent(QPoint(5, 5), action, data, left, keys))
    return enter.isAccepted()


def wait_for_jobs(window: MainWindow, qtbot: QtBot, timeout: int = 90_000) -> None:
    qtbot.waitUntil(lambda: not window.busy, timeout=timeout)


def test_an_empty_window_says_what_to_do(window: MainWindow) -> None:
    assert window.welcome.isVisible()
    assert not window.workspace.isVisible()
    assert not window.devices.isVisible()
    assert window.windowTitle() == "Burnish"


def test_a_dropped_model_opens(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    assert not drop(window, tmp_path / "words.txt")
    assert drop(window, SAMPLE)
    qtbot.waitUntil(lambda: window.controller.session.is_open, timeout=60_000)
    qtbot.waitUntil(window.workspace.isVisible)
    assert window.windowTitle() == "mnist-resnet* – Burnish"
    assert window.preferences.recent == [SAMPLE.absolute()]


def test_a_broken_model_is_said_and_leaves_the_old_one(
    sample_window: MainWindow, qtbot: QtBot, heard: Heard, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    before = sample_window.controller.session.project
    sample_window.files.open(broken)
    qtbot.waitUntil(sample_window.message.isVisible, timeout=30_000)
    assert heard.errors
    assert heard.errors[0].hint
    assert heard.errors[0].message in sample_window.message.text
    assert sample_window.controller.session.project == before
    wait_for_jobs(sample_window, qtbot)
    qtbot.keyClick(sample_window, Qt.Key.Key_Escape)  # type: ignore[no-untyped-call]
    qtbot.waitUntil(lambda: not sample_window.message.isVisible())


def test_apply_undo_redo_export_save_reopen(
    sample_window: MainWindow, qtbot: QtBot, heard: Heard, tmp_path: Path
) -> None:
    window, session = sample_window, sample_window.controller.session
    panel = window.workspace.recipe
    panel.cards["quantize.static"].switch.click()
    assert [step.pass_id for step in panel.recipe.active] == ["graph.clean", "graph.fold-batchnorm"]
    panel.apply.click()
    qtbot.waitUntil(lambda: len(session.project.variants) == 3, timeout=90_000)
    wait_for_jobs(window, qtbot)
    assert window.controller.variant == session.project.variants[-1].id
    assert window.workspace.variants.current == session.project.variants[-1]
    qtbot.waitUntil(window.menus.actions["undo"].isEnabled)
    window.menus.actions["undo"].trigger()
    qtbot.waitUntil(lambda: len(session.project.variants) == 2)
    qtbot.waitUntil(window.menus.actions["redo"].isEnabled)
    window.menus.actions["redo"].trigger()
    qtbot.waitUntil(lambda: len(session.project.variants) == 3)
    saved = session.project
    window.files.export(window.controller.variant, tmp_path / "bundle.zip")
    qtbot.waitUntil((tmp_path / "bundle.zip").exists, timeout=60_000)
    wait_for_jobs(window, qtbot)
    window.files.save_as(tmp_path / "mine")
    folder = tmp_path / "mine.burnish"
    qtbot.waitUntil(lambda: session.folder == folder, timeout=30_000)
    qtbot.waitUntil(lambda: window.windowTitle() == "mnist-resnet – Burnish")
    session.close()
    window.files.open(folder)
    qtbot.waitUntil(lambda: session.folder == folder, timeout=30_000)
    assert session.project == saved
    wait_for_jobs(window, qtbot)
    assert not heard.errors


def test_a_variant_is_renamed_and_removed(sample_window: MainWindow, qtbot: QtBot, heard: Heard) -> None:
    window, session = sample_window, sample_window.controller.session
    window.workspace.recipe.cards["quantize.static"].switch.click()
    window.workspace.recipe.apply.click()
    qtbot.waitUntil(lambda: len(session.project.variants) == 3, timeout=90_000)
    wait_for_jobs(window, qtbot)
    variants = window.workspace.variants
    last = session.project.variants[-1]
    variants.model.setData(variants.model.index_of(last.id), "lean")
    qtbot.waitUntil(lambda: session.project.variants[-1].name == "lean")
    variants.model.setData(variants.model.index_of(last.id), "baseline")
    qtbot.waitUntil(lambda: bool(heard.errors))
    qtbot.waitUntil(lambda: variants.current is not None and variants.current.id == last.id)
    variants.remove_current()
    qtbot.waitUntil(lambda: len(session.project.variants) == 2)
    qtbot.waitUntil(lambda: window.controller.variant == BASELINE)


def test_two_clicks_lead_to_a_measured_smaller_variant(window: MainWindow, qtbot: QtBot, heard: Heard) -> None:
    session = window.controller.session
    window.begin([])
    watchdog = Watchdog(window)
    qtbot.mouseClick(window.welcome.sample, Qt.MouseButton.LeftButton)  # type: ignore[no-untyped-call]
    qtbot.waitUntil(window.workspace.recipe.measure.isEnabled, timeout=60_000)
    qtbot.mouseClick(window.workspace.recipe.measure, Qt.MouseButton.LeftButton)  # type: ignore[no-untyped-call]
    qtbot.waitUntil(lambda: len(session.evaluations) >= 2, timeout=150_000)
    wait_for_jobs(window, qtbot)
    made = session.project.variant(window.controller.variant)
    assert made.name == "int8"
    assert made.bytes < 0.5 * session.project.baseline.bytes
    assert {item.model_sha256 for item in session.measurements} == {session.project.baseline.model, made.model}
    assert not heard.errors
    model = window.workspace.variants.model
    qtbot.waitUntil(lambda: "x (" in str(model.index_of(made.id).siblingAtColumn(1).data()))
    print(f"longest stall of the GUI thread: {1000 * watchdog.longest:.0f} ms")
    assert watchdog.longest < 0.25, f"the window stood still for {1000 * watchdog.longest:.0f} ms"


def test_a_running_benchmark_is_stopped(sample_window: MainWindow, qtbot: QtBot, heard: Heard) -> None:
    window = sample_window
    with qtbot.waitSignal(window.controller.samples, timeout=60_000):
        window.benchmark.click()
    assert window.benchmark.text() == "Stop"
    window.benchmark.click()
    wait_for_jobs(window, qtbot, 30_000)
    assert window.benchmark.text() == "Benchmark"
    assert not heard.errors
    qtbot.waitUntil(lambda: not window.controller.session.work.pool.jobs, timeout=10_000)


def test_recipes_are_written_read_and_copied(
    sample_window: MainWindow, qtbot: QtBot, tmp_path: Path, heard: Heard
) -> None:
    window, panel = sample_window, sample_window.workspace.recipe
    target = tmp_path / "recipe.toml"
    window.files.save_recipe(target)
    qtbot.waitUntil(target.exists)
    ids = [step.pass_id for step in read_recipe(target).steps]
    panel.cards["quantize.static"].switch.click()
    assert len(panel.recipe.active) == len(ids) - 1
    assert drop(window, target)
    qtbot.waitUntil(lambda: [step.pass_id for step in panel.recipe.active] == ids)
    window.files.copy_command()
    text = QApplication.clipboard().text()
    assert text.startswith("burnish optimize ")
    assert "--step quantize.static" in text
    assert not heard.errors


def test_order_is_changed_and_an_illegal_one_is_said(sample_window: MainWindow, qtbot: QtBot) -> None:
    panel = sample_window.workspace.recipe
    before = panel.order.order
    panel.order.list.setCurrentRow(len(before) - 1)
    panel.order.move_current(-1)
    swapped = [*before[:-2], before[-1], before[-2]]
    qtbot.waitUntil(lambda: [step.pass_id for step in panel.recipe.active] == swapped)
    qtbot.waitUntil(lambda: [s.pass_id for s in sample_window.controller.session.project.recipe.steps] == swapped)


def test_the_theme_is_switched_and_remembered(window: MainWindow, tmp_path: Path) -> None:
    window.set_theme("dark")
    assert window.controller.tokens == load_tokens("dark")
    assert window.palette().window().color().name() == load_tokens("dark").window
    assert Preferences(tmp_path / "studio.ini").theme == "dark"
    window.set_theme("light")


def test_help_pages_exist_for_every_pass_and_link(sample_window: MainWindow) -> None:
    sample_window.menus.actions["help"].trigger()
    assert sample_window.help.page == "index"
    for pass_id in sample_window.workspace.recipe.cards:
        sample_window.workspace.recipe.help_asked.emit(pass_id)
        assert sample_window.help.page == f"pass-{pass_id.replace('.', '-')}"
    sample_window.help.hide()


def test_devices_are_listed_with_those_that_do_not_work(sample_window: MainWindow) -> None:
    found = sample_window.controller.session.detected
    assert found is not None
    box = sample_window.devices
    assert box.count() == len(found.devices) + len(found.unavailable)
    assert box.currentData() == sample_window.controller.device == found.devices[0].spec


def test_layout_comes_back(qtbot: QtBot, window: MainWindow) -> None:
    window.resize(window.width(), 640)
    window.close()
    again = MainWindow(window.controller.session, window.preferences, window.controller.tokens)
    qtbot.addWidget(again)
    assert again.height() == 640
    again.close()


def test_controls_have_names(sample_window: MainWindow) -> None:
    nameless = [
        widget
        for widget in sample_window.findChildren(QWidget)
        if widget.isVisible()
        and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and not (widget.accessibleName() or widget.toolTip() or widget.property("text"))
        and not isinstance(widget.parent(), QWidget)
    ]
    assert not nameless
