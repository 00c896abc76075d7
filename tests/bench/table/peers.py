"""The default recipes of ONNX Runtime quantization and NNCF: ``python peers.py RECIPE MODEL CALIBRATION OUT``.

Runs in an interpreter that has these libraries; it knows nothing of Burnish.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

#: what the libraries' own examples use
SAMPLES = 300
TRANSFORMERS = ("minilm", "vit")


def feeds(path: Path) -> Iterator[dict[str, Any]]:
    """Give one sample at a time."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files if name != "labels"}
    for index in range(min(SAMPLES, *(len(array) for array in arrays.values()))):
        yield {name: array[index : index + 1] for name, array in arrays.items()}


def dynamic(model: Path, calibration: Path, out: Path) -> None:
    """`quantize_dynamic`, everything at its default."""
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(model, out)


def static(model: Path, calibration: Path, out: Path) -> None:
    """`quant_pre_process` and `quantize_static`, everything at its default."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._feeds = feeds(calibration)

        def get_next(self) -> dict[str, Any] | None:
            return next(self._feeds, None)

    prepared = out.with_name(f"{out.stem}-prepared.onnx")
    quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
    quantize_static(prepared, out, Reader())
    prepared.unlink()


def nncf(model: Path, calibration: Path, out: Path) -> None:
    """`nncf.quantize`, told what a transformer is, all else at its default."""
    import nncf
    import onnx

    kind = nncf.ModelType.TRANSFORMER if model.stem in TRANSFORMERS else None
    result = nncf.quantize(onnx.load(model), nncf.Dataset(list(feeds(calibration))), model_type=kind)
    onnx.save(result, out)


RECIPES: dict[str, Callable[[Path, Path, Path], None]] = {"dynamic": dynamic, "static": static, "nncf": nncf}

if __name__ == "__main__":
    RECIPES[sys.argv[1]](*(Path(argument) for argument in sys.argv[2:5]))
