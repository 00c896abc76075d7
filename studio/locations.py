"""Where things lie: bundled plugins and assets, the user's plugins, the cache."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from studio.core.registry import Registry, scan

#: further plugin folders, separated like PATH
PLUGINS_VARIABLE = "BURNISH_PLUGINS"
#: another folder for the cache
CACHE_VARIABLE = "BURNISH_CACHE"
_HERE = Path(__file__).resolve().parent


def bundled(kind: str) -> Path:
    """Give the folder of bundled ``"plugins"`` or ``"assets"``: inside the wheel, else beside `studio`."""
    packed = _HERE / "_bundled" / kind
    return packed if packed.is_dir() else _HERE.parent / kind


def assets() -> Path:
    """Give the folder of icons, help pages and samples."""
    return bundled("assets")


def cache_folder() -> Path:
    """Give the folder for results that can be computed again."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_cache_path("burnish", appauthor=False)


def config_folder() -> Path:
    """Give the folder for the user's settings and plugins."""
    return platformdirs.user_config_path("burnish", appauthor=False)


def load_registry() -> Registry:
    """Scan all plugin folders; imports none."""
    extra = [Path(part) for part in os.environ.get(PLUGINS_VARIABLE, "").split(os.pathsep) if part]
    return scan(bundled("plugins"), config_folder() / "plugins", extra)
