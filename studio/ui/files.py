"""Opening, saving and taking in files: what the window does with paths."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication, QWidget

from studio.core.errors import BurnishError, UsageError
from studio.core.project import with_recipe, with_settings
from studio.core.recipe import read_recipe, recipe_toml
from studio.sample import RECIPES, open_sample
from studio.ui.controller import Controller
from studio.ui.dialogs import ask_file, ask_folder, ask_target
from studio.ui.drop import kind_of
from studio.ui.edits import Edits
from studio.ui.preferences import Preferences
from studio.ui.recipe.panel import RecipePanel
from studio.ui.recipe.plan import command_line, without_defaults

#: the recipe that the sample opens with: smaller for certain; whether it is faster here is measured
_SAMPLE_RECIPE = next(recipe for recipe in RECIPES if recipe.name == "int8")


class Files(QObject):
    """The file actions of the window."""

    def __init__(
        self, controller: Controller, edits: Edits, preferences: Preferences, recipe: RecipePanel, window: QWidget
    ) -> None:
        super().__init__(window)
        self._controller = controller
        self._edits = edits
        self._preferences = preferences
        self._recipe = recipe
        self._window = window

    def open(self, path: Path) -> None:
        """Open a model or project, or take over a recipe."""
        if kind_of(path) == "recipe":
            self.load_recipe(path)
        else:
            self._preferences.add_recent(path.absolute())
            self._controller.open_path(path)

    def open_sample(self) -> None:
        """Open the bundled sample with its data and a recipe to try."""
        session, watch = self._controller.session, self._controller.watch

        def opener() -> None:
            open_sample(session, watch=watch)
            session.edit("sample recipe", lambda project: with_recipe(project, _SAMPLE_RECIPE))

        self._controller.open_with(opener)

    def ask_open(self) -> None:
        """Ask for a model and open it."""
        ask_file(self._window, "Open model", "ONNX models (*.onnx)", self.open)

    def ask_open_project(self) -> None:
        """Ask for a project and open it."""
        ask_folder(self._window, "Open project (a folder NAME.burnish)", self.open)

    def save(self) -> None:
        """Save; a project that has a folder is saved at every edit already."""
        session = self._controller.session
        if session.is_open and session.folder is None:
            self.ask_save_as()
        elif session.is_open:
            self._controller.notice.emit("Every change is saved already.")

    def ask_save_as(self) -> None:
        """Ask for a new project folder and save there."""
        session = self._controller.session
        if session.is_open:
            name = f"{session.project.name}.burnish"
            ask_target(self._window, "Save project as", name, "Burnish projects (*.burnish)", self.save_as)

    def save_as(self, folder: Path) -> None:
        """Save into a new project folder."""
        target = folder if folder.suffix == ".burnish" else folder.with_name(f"{folder.name}.burnish")
        self._recipe.commit()
        session = self._controller.session

        def saved() -> None:
            if session.folder is not None and session.folder == target.absolute():
                self._preferences.add_recent(session.folder)
                self._controller.notice.emit(f"Saved in {session.folder}.")

        self._edits.add(lambda: session.save_as(target.absolute()), saved)

    def export(self, variant: str, target: Path) -> None:
        """Export a variant with the first exporter."""
        controller = self._controller
        exporters = controller.session.work.registry.ids("exporter")
        if not exporters:
            controller.failed.emit(UsageError("There is no exporter.", "'burnish plugins' says what is missing."))
            return
        controller.export(variant, exporters[0], target, lambda done: controller.notice.emit(f"Wrote {done.path}."))

    def undo(self) -> None:
        """Take the last edit back."""
        self._recipe.commit()
        self._edits.add(self._controller.session.undo)

    def redo(self) -> None:
        """Do the last edit again."""
        self._edits.add(self._controller.session.redo)

    # recipes and data

    def ask_load_recipe(self) -> None:
        """Ask for a recipe file and take it over."""
        ask_file(self._window, "Load recipe", "Recipes (*.toml)", self.load_recipe)

    def load_recipe(self, path: Path) -> None:
        """Take over a recipe file; undoable."""
        try:
            if not self._controller.session.is_open:
                raise UsageError("A recipe needs a model.", "Open a model first, then load the recipe.")
            self._recipe.load(read_recipe(path))
        except BurnishError as error:
            self._controller.failed.emit(error)

    def ask_save_recipe(self) -> None:
        """Ask for a file and write the recipe."""
        ask_target(self._window, "Save recipe", "recipe.toml", "Recipes (*.toml)", self.save_recipe)

    def save_recipe(self, path: Path) -> None:
        """Write the recipe with all its parameters."""
        from studio.core.atomic import write_atomic

        try:
            recipe = self._controller.session.work.resolve(self._recipe.recipe)
        except BurnishError as error:
            self._controller.failed.emit(error)
            return
        target = path if path.suffix else path.with_suffix(".toml")
        self._edits.add(
            lambda: write_atomic(target, recipe_toml(recipe)),
            lambda: self._controller.notice.emit(f"Wrote {target}."),
        )

    def copy_command(self) -> None:
        """Put the recipe on the clipboard as a command."""
        project = self._controller.session.project
        settings = project.settings
        recipe = without_defaults(self._recipe.recipe, self._controller.session.work.registry.get_pass)
        text = command_line(recipe, project.source_path, settings.calibration, settings.evaluation)
        QApplication.clipboard().setText(text)
        self._controller.notice.emit("Copied the recipe as a command.")

    def ask_data(self, setting: str, title: str) -> None:
        """Ask for a data file and put it into the settings."""
        ask_file(self._window, title, "Data (*.npz *.csv *.jsonl)", lambda path: self.set_setting(setting, str(path)))

    def set_setting(self, name: str, value: str) -> None:
        """Change a setting of the project; undoable."""
        session = self._controller.session
        if session.is_open:
            self._edits.add(
                lambda: session.edit(f"set {name}", lambda project: with_settings(project, **{name: value}))
            )
