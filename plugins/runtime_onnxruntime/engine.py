"""The ONNX Runtime library: imported on demand, silenced, with plugin execution providers registered."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
from typing import Any

#: Distributions that carry a plugin execution provider, such as onnxruntime-ep-openvino.
PLUGIN_PREFIX = "onnxruntime-ep-"
#: ONNX Runtime's severity "fatal": errors are raised as exceptions, nothing needs to be printed.
FATAL = 4


def engine() -> Any:
    """Import onnxruntime with its logger silenced."""
    # NVML lists cards by bus; CUDA sorts by speed unless told otherwise, and CUDA:0 must be the same card.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    import onnxruntime

    onnxruntime.set_default_logger_severity(FATAL)
    return onnxruntime


def register_plugins(ort: Any) -> dict[str, str]:
    """Register every installed plugin execution provider; registration lasts as long as the process.

    Returns
    -------
    dict
        Name of a distribution that failed to its reason.
    """
    failed = {}
    for name in plugin_distributions():
        try:
            module = importlib.import_module(re.sub(r"[-.]", "_", name))
            if hasattr(module, "get_library_path"):
                ort.register_execution_provider_library(name, str(module.get_library_path()))
        except Exception as error:
            text = (str(error).strip().splitlines() or [type(error).__name__])[0]
            if "already registered" not in text:
                failed[name] = text.rstrip(".")
    return failed


def plugin_distributions() -> tuple[str, ...]:
    """Name the installed distributions that carry a plugin execution provider."""
    names = {(found.metadata["Name"] or "").lower() for found in importlib.metadata.distributions()}
    return tuple(sorted(name for name in names if name.startswith(PLUGIN_PREFIX)))
