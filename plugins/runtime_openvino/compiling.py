"""Reading a model and compiling it, as it is or for the shapes that are fed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio.api import Artifact, RunOptions, RuntimeLoadError

from .errors import load_error
from .options import supported_properties


class Compiler:
    """Compiles one model for one device with one set of options.

    OpenVINO picks its kernels by shape. A model with dynamic dimensions is therefore compiled anew for
    the shapes that are fed, as ``benchmark_app -shape`` does: it is what a deployment with fixed shapes
    runs, it is faster, and quantized models with a dynamic batch may give wrong values otherwise.
    """

    def __init__(
        self, ov: Any, artifact: Artifact, device: str, options: RunOptions, cache: Path | None = None
    ) -> None:
        self._core = ov.Core()
        self._ov, self._artifact, self._device = ov, artifact, device
        self._properties = supported_properties(self._core, device, options)
        if cache is not None:
            self._properties["CACHE_DIR"] = str(cache)
        #: nanoseconds of reading, and of the last compilation of either kind
        self.stages_ns: dict[str, int] = {}
        started = time.perf_counter_ns()
        try:
            self.model: Any = self._core.read_model(str(artifact.path))
        except Exception as error:
            raise load_error(error, artifact.path.name, device) from None
        self.stages_ns["read"] = time.perf_counter_ns() - started

    @property
    def dynamic(self) -> bool:
        """Whether the model has a dimension without a size."""
        return any(port.get_partial_shape().is_dynamic for port in self.model.inputs)

    def compile(self, shapes: Sequence[tuple[int, ...]] | None = None, *, counters: bool = False) -> Any:
        """Compile the model.

        Parameters
        ----------
        shapes
            The shape of each input in order; as the model states them where None.
        counters
            Whether per-node times are counted.

        Raises
        ------
        RuntimeLoadError
            When the device cannot execute it, or it cannot take these shapes.
        """
        properties = self._properties | ({"PERF_COUNT": True} if counters else {})
        started = time.perf_counter_ns()
        try:
            compiled = self._core.compile_model(self._shaped(shapes), self._device, properties)
        except Exception as error:
            raise load_error(error, self._artifact.path.name, self._device) from None
        stage = "compile for the shapes" if shapes is not None and self.dynamic else "compile"
        self.stages_ns[stage] = time.perf_counter_ns() - started
        return compiled

    def _shaped(self, shapes: Sequence[tuple[int, ...]] | None) -> Any:
        if shapes is None or not self.dynamic:
            return self.model
        model = self.model.clone()
        model.reshape(
            {port: self._ov.PartialShape(list(shape)) for port, shape in zip(model.inputs, shapes, strict=True)}
        )
        return model


def first_working(compiler: Compiler, shapes: Sequence[tuple[int, ...]], *, counters: bool = False) -> Any:
    """Compile for these shapes; a model that cannot be fixed to them is left as it is."""
    try:
        return compiler.compile(shapes, counters=counters)
    except RuntimeLoadError:
        return compiler.compile(counters=counters)
