"""What the plugins offer: rows read from manifests, objects imported when first used."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, Literal, cast

from studio.core.dataset import DatasetReader
from studio.core.errors import PluginError, UsageError, nearest
from studio.core.exporter import Exporter
from studio.core.frozen import digest
from studio.core.manifest import ENTRY_POINT_GROUP, SECTIONS, Contribution, Manifest, Section, read_manifest
from studio.core.metric import Metric
from studio.core.passes import Pass
from studio.core.runtime import Runtime

Origin = Literal["bundled", "user", "installed"]

BASES: dict[Section, Any] = {
    "pass": Pass,
    "runtime": Runtime,
    "dataset": DatasetReader,
    "metric": Metric,
    "exporter": Exporter,
}


@dataclass(frozen=True)
class PluginRow:
    """A plugin as listed: its manifest, or why it cannot be used and what to do."""

    folder: Path
    origin: Origin
    manifest: Manifest | None = None
    reason: str = ""
    remedy: str = ""

    @property
    def name(self) -> str:
        """The manifest's id, else the folder's name."""
        return self.manifest.id if self.manifest else self.folder.name


@dataclass(frozen=True)
class Entry:
    """A contribution and the plugin it comes from."""

    row: PluginRow
    contribution: Contribution


class Registry:
    """The passes, runtimes, dataset readers, metrics and exporters of a set of plugin folders.

    Listing imports nothing. An object is imported at first use; one that fails turns its plugin's
    rows into failures and raises `PluginError`.
    """

    def __init__(self, rows: Iterable[PluginRow]) -> None:
        self._rows: dict[str, PluginRow] = {}
        self._entries: dict[Section, dict[str, Entry]] = {section: {} for section in SECTIONS}
        self._objects: dict[tuple[Section, str], Any] = {}
        for row in rows:
            self._add(row)

    @property
    def rows(self) -> tuple[PluginRow, ...]:
        """All plugins found, the unusable ones with their reason."""
        return tuple(self._rows.values())

    def ids(self, section: Section) -> tuple[str, ...]:
        """Names of what the plugins offer of one kind, without importing them."""
        return tuple(self._entries[section])

    def title(self, section: Section, name: str) -> str:
        """Title of a contribution, without importing it."""
        return self._entry(section, name).contribution.title

    def plugin_of(self, section: Section, name: str) -> PluginRow:
        """Give the plugin that offers it."""
        return self._entry(section, name).row

    def find(self, section: Section, name: str) -> Any:
        """Give a contribution's object, made once.

        Raises
        ------
        UsageError
            When there is none of that name.
        PluginError
            When it cannot be imported or does not keep the contract.
        """
        entry = self._entry(section, name)
        key = (section, name)
        if key not in self._objects:
            try:
                self._objects[key] = _make(entry, section)
            except PluginError as error:
                self._rows[str(entry.row.folder)] = PluginRow(
                    entry.row.folder, entry.row.origin, entry.row.manifest, error.message, error.hint
                )
                raise
        return self._objects[key]

    def get_pass(self, name: str) -> Pass:
        """Give a pass by its id."""
        return cast(Pass, self.find("pass", name))

    def get_runtime(self, name: str) -> Runtime:
        """Give a runtime by its id."""
        return cast(Runtime, self.find("runtime", name))

    def get_metric(self, name: str) -> Metric:
        """Give a metric by its id."""
        return cast(Metric, self.find("metric", name))

    def get_exporter(self, name: str) -> Exporter:
        """Give an exporter by its id."""
        return cast(Exporter, self.find("exporter", name))

    def passes(self) -> tuple[Pass, ...]:
        """Give every pass that can be imported; the others become failed rows."""
        return cast(tuple[Pass, ...], self._all("pass"))

    def runtimes(self) -> tuple[Runtime, ...]:
        """Give every runtime that can be imported; the others become failed rows."""
        return cast(tuple[Runtime, ...], self._all("runtime"))

    def readers(self) -> tuple[DatasetReader, ...]:
        """Give every dataset reader that can be imported."""
        return cast(tuple[DatasetReader, ...], self._all("dataset"))

    def metrics(self) -> tuple[Metric, ...]:
        """Give every metric that can be imported."""
        return cast(tuple[Metric, ...], self._all("metric"))

    def exporters(self) -> tuple[Exporter, ...]:
        """Give every exporter that can be imported."""
        return cast(tuple[Exporter, ...], self._all("exporter"))

    def _all(self, section: Section) -> tuple[Any, ...]:
        found = []
        for name in self._entries[section]:
            try:
                found.append(self.find(section, name))
            except PluginError:
                continue
        return tuple(found)

    def _add(self, row: PluginRow) -> None:
        if row.manifest is not None:
            row = self._claim(row, row.manifest)
        self._rows[str(row.folder)] = row

    def _claim(self, row: PluginRow, manifest: Manifest) -> PluginRow:
        """Enter a plugin's contributions; names already taken make the whole plugin a failed row."""
        for section in SECTIONS:
            for contribution in manifest.section(section):
                if [known.id for known in manifest.section(section)].count(contribution.id) > 1:
                    return PluginRow(
                        row.folder,
                        row.origin,
                        manifest,
                        f"The plugin offers the {section} {contribution.id!r} twice.",
                        "Remove one of the two from its plugin.toml.",
                    )
                other = self._entries[section].get(contribution.id)
                if other is not None:
                    return PluginRow(
                        row.folder,
                        row.origin,
                        manifest,
                        f"The {section} {contribution.id!r} is already offered by the plugin {other.row.name}.",
                        "Remove one of the two plugins.",
                    )
        for section in SECTIONS:
            for contribution in manifest.section(section):
                self._entries[section][contribution.id] = Entry(row, contribution)
        return row

    def _entry(self, section: Section, name: str) -> Entry:
        try:
            return self._entries[section][name]
        except KeyError:
            raise UsageError(f"There is no {section} {name!r}.", nearest(name, self._entries[section])) from None


def scan(bundled: Path, user: Path | None = None, extra: Iterable[Path] = ()) -> Registry:
    """Find plugins: bundled, the user's folder, installed packages, and `extra` folders; import none.

    Parameters
    ----------
    bundled
        Folder whose sub-folders are plugins.
    user
        The same for the user's own; need not exist.
    extra
        Further such folders, from the setting ``BURNISH_PLUGINS``.
    """
    rows = [*_folder_rows(bundled, "bundled")]
    for folder in (user, *extra):
        if folder is not None:
            rows.extend(_folder_rows(folder, "user"))
    rows.extend(_installed_rows())
    return Registry(rows)


def _folder_rows(parent: Path, origin: Origin) -> list[PluginRow]:
    if not parent.is_dir():
        return []
    folders = sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith((".", "_")))
    return [_row(folder, origin) for folder in folders]


def _installed_rows() -> list[PluginRow]:
    rows = []
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        spec = _find_spec(point.value)
        if spec is None or not spec.submodule_search_locations:
            rows.append(
                PluginRow(
                    Path(point.name), "installed", None, f"The package {point.value} is not there.", "Reinstall it."
                )
            )
        else:
            rows.append(_row(Path(next(iter(spec.submodule_search_locations))), "installed"))
    return rows


def _find_spec(name: str) -> Any:
    try:
        return importlib.util.find_spec(name.partition(":")[0])
    except (ImportError, ValueError):
        return None


def _row(folder: Path, origin: Origin) -> PluginRow:
    try:
        return PluginRow(folder, origin, read_manifest(folder))
    except PluginError as error:
        return PluginRow(folder, origin, None, error.message, error.hint)


def _make(entry: Entry, section: Section) -> Any:
    module_name, _, attribute = entry.contribution.object.partition(":")
    plugin = entry.row.name
    try:
        made: Any = getattr(_import(entry.row.folder, module_name), attribute)()
    except Exception as error:
        raise PluginError(
            f"The plugin {plugin} cannot be loaded: {type(error).__name__}: {error}.",
            f"Look at {entry.row.folder}; 'burnish plugins' lists what fails.",
        ) from error
    if not issubclass(type(made), BASES[section]):
        raise PluginError(f"{entry.contribution.object} of {plugin} is not a {section}.", "Derive it from studio.api.")
    if made.id != entry.contribution.id:
        raise PluginError(
            f"{entry.contribution.object} of {plugin} calls itself {made.id!r}, not {entry.contribution.id!r}.",
            "Make its id and the manifest agree.",
        )
    return made


def _import(folder: Path, module: str) -> Any:
    """Import a module of a plugin's folder under a private package name, so that no folder needs to be on sys.path."""
    package = f"burnish_plugin_{re.sub(r'[^0-9A-Za-z]', '_', folder.name)}"
    if package in sys.modules and list(sys.modules[package].__path__) != [str(folder)]:
        # Another folder of that name: the user's own beside a bundled one.
        package += f"_{digest(str(folder))[:12]}"
    if package not in sys.modules:
        _import_package(package, folder)
    return importlib.import_module(f"{package}.{module}")


def _import_package(package: str, folder: Path) -> None:
    init = folder / "__init__.py"
    spec: ModuleSpec | None = ModuleSpec(package, None, is_package=True)
    if init.is_file():
        spec = importlib.util.spec_from_file_location(package, init, submodule_search_locations=[])
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError(f"no package in {folder}")
    spec.submodule_search_locations[:] = [str(folder)]
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[package] = loaded
    try:
        if spec.loader is not None:
            spec.loader.exec_module(loaded)
    except BaseException:
        # Half a package must not pass for a whole one at the next attempt.
        del sys.modules[package]
        raise
