"""Writing models and data of the zoo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def export(
    model: Any, path: Path, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str], axes: Sequence[str] = ("batch",)
) -> None:
    """Export a torch module; the first axes of its inputs and outputs are dynamic, named `axes`."""
    import torch

    model.eval()
    named = dict(enumerate(axes))
    names = [*inputs, *outputs]
    torch.onnx.export(
        model,
        tuple(torch.from_numpy(array) for array in inputs.values()),
        str(path),
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_axes=dict.fromkeys(names, named),
        opset_version=17,
        dynamo=False,
    )


def save(folder: Path, name: str, half: str, **arrays: NDArray[Any]) -> None:
    """Write a dataset."""
    np.savez(folder / f"{name}-{half}.npz", allow_pickle=False, **arrays)
