"""Several samples in one inference against one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from studio.api import Artifact, LoadedModel, PassContext, PassError, RuntimeLoadError, as_numpy_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .batch_mending import Places

#: batch sizes tried when it is dynamic, as multiples of the size before
TRIED = (2, 3)
#: size of other dynamic dimensions
OTHER = 16
#: error relative to the largest value of an output that rounding may make
RELATIVE = 1e-4


def check_samples(source: Artifact, result: Artifact, places: Places, size: int, context: PassContext) -> str:
    """Run the source on samples in its own batches, and the result on all of them at once.

    Returns
    -------
    str
        The batch sizes that were compared; empty where neither could be run.

    Raises
    ------
    PassError
        When a sample comes out otherwise, with the output.
    """
    if context.engine is None or not places.size:
        return ""
    done = []
    with context.engine.load(source) as before, context.engine.load(result) as after:
        for total in (size,) if size else [places.size * times for times in TRIED]:
            context.reporter.check()
            samples = -(-total // places.size) * places.size
            feeds = {info.name: _feed(before, info.name, places, samples) for info in before.inputs}
            try:
                ones = [
                    before.run(_part(feeds, places, start, places.size)) for start in range(0, samples, places.size)
                ]
            except RuntimeLoadError:
                return ""  # generated inputs do not suit every model; the runner's own check says so
            _compare(ones, after.run(_part(feeds, places, 0, total)), places, total)
            done.append(str(total))
    return ", ".join(done)


def _feed(model: LoadedModel, name: str, places: Places, samples: int) -> NDArray[Any]:
    info = next(info for info in model.inputs if info.name == name)
    shape = [size if isinstance(size, int) else OTHER for size in info.shape or ()]
    if name in places.inputs:
        shape[places.inputs[name]] = samples
    drawn = np.random.default_rng(len(name)).standard_normal(shape)
    dtype = as_numpy_dtype(info.dtype)
    return (drawn > 0).astype(dtype) if dtype.kind in "iub" else drawn.astype(dtype)


def _part(feeds: dict[str, NDArray[Any]], places: Places, start: int, count: int) -> dict[str, NDArray[Any]]:
    picked = np.arange(start, start + count)
    return {
        name: np.ascontiguousarray(np.take(array, picked, axis=places.inputs[name])) if name in places.inputs else array
        for name, array in feeds.items()
    }


def _compare(ones: list[Any], many: Any, places: Places, total: int) -> None:
    for name, axis in places.outputs.items():
        wanted = np.concatenate([one[name] for one in ones], axis=axis)
        length = many[name].shape[axis]
        wanted = np.take(wanted, np.arange(min(length, wanted.shape[axis])), axis=axis)
        if wanted.shape != many[name].shape:
            found = list(many[name].shape)
            raise PassError(
                f"With {total} samples the output {name!r} has shape {found}, not {list(wanted.shape)}.",
                "The model joins its samples; leave the step out.",
            )
        if wanted.dtype.kind not in "fc":
            continue
        error = float(np.max(np.abs(wanted - many[name]), initial=0.0))
        largest = float(np.max(np.abs(wanted), initial=0.0))
        if not error <= RELATIVE * max(largest, 1e-6):
            raise PassError(
                f"A sample of the output {name!r} depends on the others in its batch: it differs by up to {error:.3g}.",
                "Some node works across the samples; leave the step out, or give their axis with axes=.",
            )
