"""Timing one layer alone against its factorized form, in pairs."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from studio.api import BurnishError, Engine, PassContext, write_model

from .decompose import Kind
from .layers import Layer

#: pairs that are timed, and the seconds after which no further one is begun
PAIRS = 25
SECONDS = 0.4
#: runs of each before the clock starts
WARM = 3


class Timer:
    """Times layers alone, at the shapes that they really have; remembers what it timed."""

    def __init__(self, engine: Engine, context: PassContext) -> None:
        self._engine, self._context = engine, context
        self._known: dict[tuple[Any, ...], float | None] = {}

    def ratio(self, layer: Layer, kind: Kind, ranks: tuple[int, ...], shape: Sequence[int]) -> float | None:
        """Measure the time of the factorized layer over that of the layer as it is.

        Parameters
        ----------
        shape
            Of the layer's input, first axis one sample.

        Returns
        -------
        float or None
            The median over pairs in random order; below 1 is faster. None when it could not be run.
        """
        linear, dtype = layer.linear, layer.weight.tensor.dtype.name
        key = (linear, kind, ranks, tuple(shape), dtype)
        if key not in self._known:
            folder = Path(mkdtemp(prefix="timing-", dir=self._context.workdir))
            try:
                self._known[key] = self._measure(layer, kind, ranks, shape, folder)
            except BurnishError:
                self._known[key] = None
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        return self._known[key]

    def _measure(
        self, layer: Layer, kind: Kind, ranks: tuple[int, ...], shape: Sequence[int], folder: Path
    ) -> float | None:
        import numpy as np

        from .alone import alone, factorized

        models = [alone(layer, shape), factorized(alone(layer, shape), kind, ranks)]
        loads = [write_model(model, folder / f"{number}.onnx") for number, model in enumerate(models)]
        random = np.random.default_rng(0)
        feed = {"x": random.standard_normal(tuple(shape)).astype(layer.weight.tensor.dtype.numpy())}
        with self._engine.load(loads[0]) as before, self._engine.load(loads[1]) as after:
            runs = [before.bind(feed), after.bind(feed)]
            for run in runs * WARM:
                run()
            return statistics.median(self._pairs(runs, random))

    def _pairs(self, runs: Sequence[Any], random: Any) -> list[float]:
        ratios: list[float] = []
        stop = time.perf_counter() + SECONDS
        while len(ratios) < PAIRS and (len(ratios) < 3 or time.perf_counter() < stop):
            self._context.reporter.check()
            taken = [0, 0]
            for which in random.permutation(2):
                start = time.perf_counter_ns()
                runs[which]()
                taken[which] = time.perf_counter_ns() - start
            ratios.append(taken[1] / max(1, taken[0]))
        return ratios
