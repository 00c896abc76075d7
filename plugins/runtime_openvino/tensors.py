"""Tensors of OpenVINO: their description, and arrays in and out, bfloat16 and 8-bit floats included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from studio.api import Dimension, RuntimeLoadError, TensorInfo, as_numpy_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Value = tuple[str, tuple[Dimension, ...] | None]

#: OpenVINO's type to the ml_dtypes one; its own arrays of them come in a type that is not right
_RAW = {"bf16": "bfloat16", "f8e4m3": "float8_e4m3fn", "f8e5m2": "float8_e5m2"}


def describe_ports(ports: Sequence[Any], values: Sequence[Value], role: str) -> tuple[TensorInfo, ...]:
    """Describe the inputs or outputs of a model under the names and dimension names of the ONNX file.

    Raises
    ------
    RuntimeLoadError
        For strings (handling them aborts the process) and types that take less than a byte.
    """
    return tuple(_describe(port, position, values, role) for position, port in enumerate(ports))


def as_tensor(ov: Any, info: TensorInfo, array: NDArray[Any]) -> Any:
    """Make a tensor that shares the array's memory; `array` is in C order and kept alive by the caller."""
    types = {name: kind for kind, name in _RAW.items()}
    kind = types.get(info.dtype)
    if kind is not None:
        import numpy as np

        return ov.Tensor(array.view(np.uint8).reshape(-1), ov.Shape(list(array.shape)), getattr(ov.Type, kind))
    return ov.Tensor(array, shared_memory=True)


def as_array(info: TensorInfo, tensor: Any) -> NDArray[Any]:
    """Copy a tensor to an array that the caller owns."""
    import numpy as np

    data: NDArray[Any] = np.array(tensor.data, order="C")
    return data.view(as_numpy_dtype(info.dtype)) if info.dtype in _RAW.values() else data


def _describe(port: Any, position: int, values: Sequence[Value], role: str) -> TensorInfo:
    names = port.get_names()
    named = dict(values)
    name = next((name for name, _ in values if name in names), None) or _fallback_name(port, position)
    return TensorInfo(name=name, dtype=_dtype(port, name, role), shape=_shape(port, named.get(name)))


def _fallback_name(port: Any, position: int) -> str:
    names = sorted(port.get_names())
    return names[0] if names else f"output {position}"


def _dtype(port: Any, name: str, role: str) -> str:
    import numpy as np

    kind = str(port.get_element_type().to_string())
    if kind in _RAW:
        return _RAW[kind]
    if kind == "string":
        raise RuntimeLoadError(
            f"The {role} {name!r} is of strings, which OpenVINO cannot handle here.", "Use the runtime 'onnxruntime'."
        )
    if kind in ("u1", "u2", "u3", "u4", "u6", "i4", "nf4", "dynamic"):
        raise RuntimeLoadError(
            f"The {role} {name!r} is of the type {kind}, which cannot be fed.", "Cast it in the model."
        )
    return str(np.dtype(port.get_element_type().to_dtype()).name)


def _shape(port: Any, stated: tuple[Dimension, ...] | None) -> tuple[Dimension, ...] | None:
    partial = port.get_partial_shape()
    if partial.rank.is_dynamic:
        return None
    names = stated if stated is not None and len(stated) == len(partial) else (None,) * len(partial)
    return tuple(
        size.get_length() if size.is_static else (name if isinstance(name, str) else None)
        for size, name in zip(partial, names, strict=True)
    )
