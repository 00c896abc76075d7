"""The runtimes under test and the modules of their plugins, taken the way the application takes them."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any

from studio.api import Device, Runtime
from studio.core.registry import scan

ROOT = Path(__file__).parents[2]


@cache
def runtime(name: str) -> Runtime:
    return scan(ROOT / "plugins", extra=[ROOT / "tests" / "fixtures" / "plugins"]).get_runtime(name)


def module(name: str, part: str) -> Any:
    """Import a module of the plugin ``runtime_<name>``."""
    runtime(name)
    return importlib.import_module(f"burnish_plugin_runtime_{name}.{part}")


@cache
def cpu(name: str) -> Device:
    return next(device for device in runtime(name).devices() if device.id == "CPU")
