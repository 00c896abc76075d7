"""Plugin manifests: what is needed before any import."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field, ValidationError

from studio.core.errors import PluginError
from studio.core.frozen import Frozen

API_VERSION = 1
ENTRY_POINT_GROUP = "burnish.plugins"

Section = Literal["pass", "runtime", "dataset", "metric", "exporter"]
SECTIONS: tuple[Section, ...] = ("pass", "runtime", "dataset", "metric", "exporter")


class Contribution(Frozen):
    """One thing that a plugin offers: ``object`` is ``module:attribute`` inside the plugin's folder."""

    id: str
    title: str
    object: str


class Requirement(Frozen):
    """A distribution that the plugin needs, and how to get it.

    With `module`, any distribution that brings that top-level module will do: ``onnxruntime`` comes
    as onnxruntime, onnxruntime-gpu, onnxruntime-directml and others.
    """

    name: str
    module: str = ""
    remedy: str = ""


class Manifest(Frozen):
    """The content of a ``plugin.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    id: str
    title: str
    api: int
    requires: tuple[Requirement, ...] = ()
    passes: tuple[Contribution, ...] = Field(default=(), alias="pass")
    runtimes: tuple[Contribution, ...] = Field(default=(), alias="runtime")
    datasets: tuple[Contribution, ...] = Field(default=(), alias="dataset")
    metrics: tuple[Contribution, ...] = Field(default=(), alias="metric")
    exporters: tuple[Contribution, ...] = Field(default=(), alias="exporter")

    def section(self, name: Section) -> tuple[Contribution, ...]:
        """Give the contributions of one kind."""
        found: tuple[Contribution, ...] = {
            "pass": self.passes,
            "runtime": self.runtimes,
            "dataset": self.datasets,
            "metric": self.metrics,
            "exporter": self.exporters,
        }[name]
        return found


def read_manifest(folder: Path) -> Manifest:
    """Read ``plugin.toml`` of a plugin's folder, importing nothing.

    Raises
    ------
    PluginError
        When it is missing, not valid, of another API version, or a requirement is not installed.
    """
    path = folder / "plugin.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        manifest = Manifest.model_validate(table)
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError(f"{path} cannot be read: {error}.", "Put a plugin.toml into the plugin's folder.") from None
    except tomllib.TOMLDecodeError as error:
        raise PluginError(f"{path} is not valid TOML: {error}.", "Mend the line it names.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PluginError(f"{path} is not a manifest: {where}: {first['msg'].lower()}.", "Mend that key.") from None
    _check(manifest)
    return manifest


def _check(manifest: Manifest) -> None:
    if manifest.api != API_VERSION:
        raise PluginError(
            f"The plugin {manifest.id} is for plugin API {manifest.api}; this Burnish has {API_VERSION}.",
            "Update the older of the two.",
        )
    for requirement in manifest.requires:
        if not _installed(requirement):
            remedy = requirement.remedy or f"pip install {requirement.name}"
            raise PluginError(f"{requirement.name} is not installed.", f"Run: {remedy}")


def _installed(requirement: Requirement) -> bool:
    if requirement.module:
        return importlib.util.find_spec(requirement.module) is not None
    try:
        importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
