"""Tensor types of ONNX Runtime, and the small ones that numpy alone cannot carry."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from studio.api import Artifact, RuntimeLoadError, TensorInfo, as_numpy_dtype, read_signature

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: the engine's element type to TensorInfo.dtype, where they differ
_DTYPES = {
    "float": "float32",
    "double": "float64",
    "string": "object",
    "float8e4m3fn": "float8_e4m3fn",
    "float8e4m3fnuz": "float8_e4m3fnuz",
    "float8e5m2": "float8_e5m2",
    "float8e5m2fnuz": "float8_e5m2fnuz",
}
#: types that are passed as bytes with their number in onnx.TensorProto
_RAW = {
    "bfloat16": 16,
    "float8_e4m3fn": 17,
    "float8_e4m3fnuz": 18,
    "float8_e5m2": 19,
    "float8_e5m2fnuz": 20,
}


def describe_args(args: Sequence[Any], artifact: Artifact, role: str) -> tuple[TensorInfo, ...]:
    """Describe the inputs or outputs of a session.

    The engine gives an empty shape for scalars and for tensors of unknown rank: the file tells them apart.

    Raises
    ------
    RuntimeLoadError
        When it is a sequence, map or optional, or of a type that takes less than a byte.
    """
    infos = [_describe(arg, role) for arg in args]
    if all(info.shape for info in infos):
        return tuple(infos)
    signature = read_signature(artifact.path)
    unknown = {name for name, shape in (*signature.inputs, *signature.outputs) if shape is None}
    return tuple(
        info.model_copy(update={"shape": None}) if info.shape == () and info.name in unknown else info for info in infos
    )


def is_raw(info: TensorInfo) -> bool:
    """Whether arrays of this tensor are passed as bytes: numpy does not know the type."""
    return info.dtype in _RAW


def _describe(arg: Any, role: str) -> TensorInfo:
    match = re.fullmatch(r"tensor\((\w+)\)", arg.type)
    if match is None:
        raise RuntimeLoadError(
            f"The {role} {arg.name!r} is {arg.type}, not a tensor.",
            "Export the model with tensors only (for scikit-learn: with zipmap off).",
        )
    element = _DTYPES.get(match[1], match[1])
    if element in ("int4", "uint4", "int2", "uint2"):
        raise RuntimeLoadError(f"The {role} {arg.name!r} is {element}, which cannot be fed.", "Cast it in the model.")
    shape = tuple(size if isinstance(size, int) and size >= 0 else size or None for size in arg.shape)
    return TensorInfo(name=arg.name, dtype=element, shape=shape)


def as_value(ort: Any, info: TensorInfo, array: NDArray[Any]) -> Any:
    """Make an ``OrtValue`` that shares the array's memory, whatever its type; the caller keeps `array` alive."""
    if not is_raw(info):
        return ort.OrtValue.ortvalue_from_numpy(array)
    plain = array.view(f"u{array.dtype.itemsize}")
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(plain, _RAW[info.dtype])


def as_array(info: TensorInfo, value: Any) -> NDArray[Any]:
    """Copy an ``OrtValue`` in the CPU's memory to an array."""
    import numpy as np

    if not is_raw(info):
        plain: NDArray[Any] = value.numpy()
        return plain
    dtype, shape = as_numpy_dtype(info.dtype), value.shape()
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = ctypes.string_at(value.data_ptr(), size) if size else b""
    return np.frombuffer(memory, dtype).reshape(shape).copy()


def contiguous(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Give the arrays in C order, copying only those that are not."""
    import numpy as np

    return {name: np.asarray(array, order="C") for name, array in feeds.items()}
