"""Checking what is fed to a model before an engine sees it, so that every runtime says the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from studio.core.errors import RuntimeLoadError, nearest
from studio.core.runtime import TensorInfo, as_numpy_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray


def check_feeds(inputs: Sequence[TensorInfo], feeds: Mapping[str, NDArray[Any]]) -> None:
    """Refuse feeds that are not exactly a model's inputs.

    Parameters
    ----------
    inputs
        What the model takes.
    feeds
        Input name to array; a scalar is an array of shape ``()``. Dynamic dimensions take any size, 0 too.

    Raises
    ------
    RuntimeLoadError
        For a missing or unknown input, another dtype, rank, or size of a fixed dimension.
    """
    known = {info.name: info for info in inputs}
    for name in feeds:
        if name not in known:
            raise RuntimeLoadError(f"The model has no input {name!r}.", nearest(name, known))
    for name, info in known.items():
        if name not in feeds:
            raise RuntimeLoadError(f"The input {name!r} is missing.", f"Feed {describe_input(info)}.")
        _check_one(info, feeds[name])


def describe_input(info: TensorInfo) -> str:
    """Write a tensor's name, dtype and shape for people: ``image float32 [batch, 1, 28, 28]``."""
    shape = "of any rank" if info.shape is None else f"[{', '.join(str(size or '?') for size in info.shape)}]"
    return f"{info.name} {'string' if info.dtype == 'object' else info.dtype} {shape}"


def _check_one(info: TensorInfo, array: NDArray[Any]) -> None:
    if not _dtype_fits(info.dtype, array):
        raise RuntimeLoadError(
            f"The input {info.name!r} is {info.dtype}, but {array.dtype} was fed.",
            f"Convert it to {info.dtype}.",
        )
    if info.shape is None:
        return
    fits = len(info.shape) == array.ndim and all(
        not isinstance(want, int) or want == have for want, have in zip(info.shape, array.shape, strict=False)
    )
    if not fits:
        raise RuntimeLoadError(
            f"The input {info.name!r} cannot take an array of shape {list(array.shape)}.",
            f"Feed {describe_input(info)}.",
        )


def _dtype_fits(name: str, array: NDArray[Any]) -> bool:
    if name == "object":
        return array.dtype.kind in "OUT"
    return array.dtype == as_numpy_dtype(name)
