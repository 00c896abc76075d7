"""Making arrays fit a model's inputs, or saying why they do not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from studio.api import DataError, TensorInfo, as_numpy_dtype, has_batch_axis, nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LABELS = "labels"
_REMOVE = "Remove that sample, or mend how the data was made."


def assign(found: Iterable[str], inputs: Sequence[TensorInfo], where: str) -> dict[str, str]:
    """Say which array feeds which input: that of its name, or the only one for the only input.

    Parameters
    ----------
    found
        Names of the arrays; ``labels`` is no input unless the model says so.
    where
        What holds them, for messages.

    Returns
    -------
    dict
        Input name to array name.

    Raises
    ------
    DataError
        When an input has no array.
    """
    names = list(found)
    wanted = [info.name for info in inputs]
    if all(name in names for name in wanted):
        return {name: name for name in wanted}
    others = [name for name in names if name != LABELS]
    if len(wanted) == 1 and len(others) == 1:
        return {wanted[0]: others[0]}
    missing = next(name for name in wanted if name not in names)
    listed = ", ".join(others) or "none"
    raise DataError(
        f"{where} has no array for the input {missing!r}; its arrays are: {listed}.",
        nearest(missing, others) if others else f"Save an array named {missing!r}.",
    )


def check_column(
    info: TensorInfo, shape: Sequence[int], dtype: np.dtype[Any], inputs: Sequence[TensorInfo], where: str
) -> None:
    """Refuse an array of samples (first axis) whose shape or type does not suit an input.

    Raises
    ------
    DataError
        With what was found and what is wanted.
    """
    if not _shape_fits(info, shape, inputs):
        raise DataError(
            f"{where} has shape {list(shape)}, but the input {info.name!r} wants {wanted_shape(info, inputs)}.",
            "Save the array in that shape, the samples along the first axis.",
        )
    if not _castable(dtype, info):
        raise DataError(
            f"{where} is {dtype}, but the input {info.name!r} wants {info.dtype}.",
            f"Save it as {info.dtype}; only conversions that keep the values' meaning are made.",
        )


def conversion_note(info: TensorInfo, dtype: np.dtype[Any], where: str) -> str:
    """Say that values are converted; empty when they are not, or only to another precision of float."""
    target = as_numpy_dtype(info.dtype)
    if dtype.newbyteorder("=") == target or dtype.kind in "fVUS":
        return ""
    return f"{where} is {dtype} and is converted to {info.dtype} without scaling."


def wanted_shape(info: TensorInfo, inputs: Sequence[TensorInfo]) -> str:
    """Write the shape of an array of samples for people: ``[samples, 1, 28, 28]``."""
    shape = info.shape or ()
    rest = shape[1:] if has_batch_axis(inputs, info.name) else shape
    return f"[{', '.join(['samples', *(str(size or '?') for size in rest)])}]"


def convert(array: NDArray[Any], info: TensorInfo, first: int, where: str) -> NDArray[Any]:
    """Give samples in the type that an input wants, checked.

    Parameters
    ----------
    array
        Samples along the first axis, of a type that `check_column` let pass.
    first
        Index of the first of them in the dataset.

    Raises
    ------
    DataError
        For NaN or infinity, or an integer that the type cannot hold, with the sample.
    """
    import numpy as np

    target = as_numpy_dtype(info.dtype)
    if array.dtype.kind == "V" and target.itemsize == array.dtype.itemsize:
        array = array.view(target)  # numpy stores the small float types as raw bytes
    if array.dtype.kind in "iu" and target.kind in "iu":
        _check_range(array, target, first, where)
    with np.errstate(over="ignore"):  # what overflows is infinite, and found next
        converted = array.astype(target, copy=False)
    if _is_float(target):
        _check_finite(converted, array, first, where)
    return converted


def _shape_fits(info: TensorInfo, shape: Sequence[int], inputs: Sequence[TensorInfo]) -> bool:
    """Say whether samples of this shape suit: without the batch axis, or each the whole of the input."""
    if not shape:
        return False
    if info.shape is None:
        return True
    if len(shape) == len(info.shape):
        return has_batch_axis(inputs, info.name) and _match(shape[1:], info.shape[1:])
    if len(shape) != len(info.shape) + 1:
        return False
    # a whole input with a dynamic batch axis is still one sample
    whole = [1, *info.shape[1:]] if has_batch_axis(inputs, info.name) and _dynamic(info.shape[0]) else info.shape
    return _match(shape[1:], whole)


def _dynamic(size: int | str | None) -> bool:
    return not isinstance(size, int)


def _match(shape: Sequence[int], wanted: Sequence[int | str | None]) -> bool:
    return all(not isinstance(size, int) or size == have for have, size in zip(shape, wanted, strict=True))


def _castable(dtype: np.dtype[Any], info: TensorInfo) -> bool:
    """Allow what keeps the meaning: to another precision, integer or boolean to float, boolean to integer."""
    target = as_numpy_dtype(info.dtype)
    if target.kind == "O" or dtype.kind in "US":
        return target.kind == "O" and dtype.kind in "US"
    if dtype.kind == "V":
        return dtype.names is None and target.kind == "V" and dtype.itemsize == target.itemsize
    if _is_float(target):
        return dtype.kind in "fiub"
    return dtype.kind == "b" if target.kind == "b" else dtype.kind in "iub" and target.kind in "iuV"


def _is_float(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f" or (dtype.kind == "V" and "float" in dtype.name)


def _check_range(array: NDArray[Any], target: np.dtype[Any], first: int, where: str) -> None:
    import numpy as np

    if array.size == 0 or np.can_cast(array.dtype, target):
        return
    limits = np.iinfo(target)
    bad = (array < limits.min) | (array > limits.max)
    if bad.any():
        index = tuple(int(axis[0]) for axis in bad.nonzero())
        raise DataError(
            f"{where} holds {array[index]} in sample {first + index[0]}, which {target} cannot.",
            f"Keep the values within {limits.min} and {limits.max}.",
        )


def _check_finite(converted: NDArray[Any], array: NDArray[Any], first: int, where: str) -> None:
    import numpy as np

    # the small float types have no NaN test of their own in every release
    finite = np.isfinite(converted.astype(np.float32) if converted.dtype.kind == "V" else converted)
    if finite.all():
        return
    index = tuple(int(axis[0]) for axis in (~finite).nonzero())
    raise DataError(f"{where} holds {_name(array[index], converted.dtype)} in sample {first + index[0]}.", _REMOVE)


def _name(value: Any, dtype: np.dtype[Any]) -> str:
    """Name a value that is not finite in `dtype`."""
    import numpy as np

    number = float(value)
    if np.isnan(number):
        return "NaN"
    return "infinity" if np.isinf(number) else f"{number:g}, too large for {dtype},"
