"""What zeros are good for: said the same way by every pass that makes some."""

from __future__ import annotations

from studio.api import Device, Range

SPEED = "zeros are multiplied like other numbers: only hardware with sparse kernels gains"
SIZE = "the file stays as large; compressed (zip, gzip) it shrinks with the sparsity"
_SPARSE_CORES = (
    "only NVIDIA GPUs of the Ampere generation and later skip zeros in the pattern 2:4, where the engine is told to "
    "(TensorRT's sparse weights); elsewhere zeros are multiplied like other numbers"
)


def speed(device: Device | None, pattern: str = "") -> Range | None:
    """Expect of zeros on a device: nothing on processors, as was measured; None when the device is not known."""
    if device is None:
        return None
    if pattern == "2:4" and device.kind == "gpu":
        return Range(low=0.97, high=1.3, reason=f"{_SPARSE_CORES}; never measured here")
    return Range(low=0.97, high=1.04, reason=_SPARSE_CORES if pattern == "2:4" else SPEED)


def size() -> Range:
    """Expect of the file as it lies on disk."""
    return Range(low=1.0, high=1.0, reason=SIZE)
