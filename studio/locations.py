"""Where things lie: bundled plugins and assets, the user's plugins, the cache."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from studio.core.errors import UsageError

if TYPE_CHECKING:
    from studio.core.registry import Registry

#: further plugin folders, separated like PATH
PLUGINS_VARIABLE = "BURNISH_PLUGINS"
#: another folder for the cache
CACHE_VARIABLE = "BURNISH_CACHE"
#: another folder for what unsaved work is restored from
DATA_VARIABLE = "BURNISH_DATA"
#: gigabytes that cached models may take
CACHE_LIMIT_VARIABLE = "BURNISH_CACHE_GB"
LARGEST_CACHE = 10_000_000_000
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


def cache_limit() -> int:
    """Give the bytes that cached models may take: what the user sets, else 10 GB or a tenth of the disk.

    Raises
    ------
    UsageError
        When the setting is no number of gigabytes.
    """
    text = os.environ.get(CACHE_LIMIT_VARIABLE, "")
    if text:
        try:
            gigabytes = float(text)
        except ValueError:
            gigabytes = math.nan
        if not 0 <= gigabytes < math.inf:
            raise UsageError(f"{CACHE_LIMIT_VARIABLE} is {text!r}, no number of gigabytes.", "Set it to 10, say.")
        return int(gigabytes * 1e9)
    folder = next(path for path in (cache_folder().absolute(), *cache_folder().absolute().parents) if path.exists())
    return min(LARGEST_CACHE, shutil.disk_usage(folder).total // 10)


def config_folder() -> Path:
    """Give the folder for the user's settings and plugins."""
    return platformdirs.user_config_path("burnish", appauthor=False)


def data_folder() -> Path:
    """Give the folder for what only the user can make again: what unsaved work is restored from."""
    chosen = os.environ.get(DATA_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_data_path("burnish", appauthor=False)


def recovery_folder() -> Path:
    """Give the folder in which sessions keep what a crash must not cost."""
    return data_folder() / "recovery"


def load_registry() -> Registry:
    """Scan all plugin folders; imports none."""
    from studio.core.registry import scan  # the window is painted before it is needed

    extra = [Path(part) for part in os.environ.get(PLUGINS_VARIABLE, "").split(os.pathsep) if part]
    return scan(bundled("plugins"), config_folder() / "plugins", extra)
