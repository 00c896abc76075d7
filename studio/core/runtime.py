"""Runtimes: load a model onto a device and run it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from studio.core.device import Device, UnavailableDevice
from studio.core.flow import Flow, GoOn, flow_of
from studio.core.frozen import Frozen
from studio.core.params import param

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from studio.core.artifact import Artifact

    Arrays = Mapping[str, NDArray[Any]]

#: A dimension: a fixed size, the name of a dynamic one, or None when it has no name.
Dimension = int | str | None


class TensorInfo(Frozen):
    """An input or output of a model.

    `dtype` is numpy's name (``"float32"``, ``"int64"``, ``"object"`` for strings; ``"bfloat16"`` and
    the small types by their ml_dtypes name). `shape` is None when even the rank is unknown.
    """

    name: str
    dtype: str
    shape: tuple[Dimension, ...] | None


class RunOptions(Frozen):
    """How a model is loaded; recorded with every measurement."""

    threads: int | None = param(
        None, "Threads for one inference; the runtime chooses when empty.", unit="threads", ge=1
    )
    streams: int | None = param(None, "Inferences that run at once; the runtime chooses when empty.", ge=1)
    hint: Literal["latency", "throughput"] = param("latency", "What the runtime should favour.")
    precision: Literal["model", "engine", "f32", "f16", "bf16"] = param(
        "model",
        "'model' computes in the types that the model states; 'engine' lets the runtime lower them, as OpenVINO "
        "does by default where the hardware has bfloat16 or float16; the others are asked for as a hint.",
    )
    pin: bool = param(False, "Pin threads to cores where the runtime can.")


class ExecutedNode(Frozen):
    """A node as the runtime really executed it, from its own counters.

    Attributes
    ----------
    sources
        Nodes of the model that it executes, by `provenance.node_names`; several when they were fused.
    feeds
        Nodes of the model that the kernels after it execute.
    inserted
        Whether the runtime put it there (a reorder, a conversion): no node of the model asks for it.
    """

    name: str
    operator: str
    nanoseconds: int
    precision: str = ""
    layout: str = ""
    kernel: str = ""
    placement: str = ""
    sources: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()
    inserted: bool = False


class LoadedModel(ABC):
    """A model on a device; a context manager that frees it."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    #: devices that really execute it, after any fallback: spec to number of nodes; empty when unknown
    placement: Mapping[str, int] = {}
    #: what a user should know, such as a fallback to another device
    warnings: tuple[str, ...] = ()
    #: nanoseconds that loading took so far, by stage (``"read"``, ``"compile"``), where the engine has stages
    stages_ns: Mapping[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run one inference.

        Parameters
        ----------
        feeds
            Input name to array, of the dtype and shape that `inputs` states.

        Returns
        -------
        dict
            Output name to array; the caller owns the arrays.

        Raises
        ------
        RuntimeLoadError
            When the runtime refuses the inputs or the device is lost.
        """

    def bind(self, feeds: Mapping[str, NDArray[Any]]) -> Any:
        """Give a callable of no arguments that runs one inference on fixed inputs, with the least overhead.

        It is what is timed: inputs are copied or bound once, outputs stay where the runtime puts them.
        """
        return lambda: self.run(feeds)

    def run_async(self, feeds: Mapping[str, NDArray[Any]], requests: int, go_on: GoOn) -> Flow:
        """Keep so many inferences on fixed inputs in flight until `go_on` says no.

        Each has inputs and outputs of its own. Without anything better each is called from a thread of its own.

        Raises
        ------
        RuntimeLoadError
            When the runtime refuses the inputs or the device is lost.
        """
        return flow_of([self.bind(feeds) for _ in range(requests)], go_on)

    def profile(self, feeds: Mapping[str, NDArray[Any]], runs: int) -> tuple[ExecutedNode, ...] | None:
        """Run with counters on; None where the runtime has none. Counters disturb time: never mix with `bind`."""
        return None

    def close(self) -> None:
        """Free the model; safe to call twice."""
        return


class Runtime(ABC):
    """An inference engine. Its library is imported inside methods only."""

    id: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def version(self) -> str:
        """Give the version of the engine."""

    @abstractmethod
    def devices(self) -> tuple[Device, ...]:
        """Enumerate what it can run on here; best first, the CPU always included where supported."""

    def unavailable(self) -> tuple[UnavailableDevice, ...]:
        """List hardware or providers that are here but cannot be used through it."""
        return ()

    def honours(self, device: Device) -> frozenset[str]:
        """Name the fields of `RunOptions` that change anything on a device."""
        return frozenset(RunOptions.model_fields)

    @abstractmethod
    def load(self, artifact: Artifact, device: Device, options: RunOptions) -> LoadedModel:
        """Load a model onto a device.

        Raises
        ------
        RuntimeLoadError
            When the engine cannot load it; the message names the operator where the engine's does.
        """

    def load_cached(self, artifact: Artifact, device: Device, options: RunOptions, folder: Path) -> LoadedModel | None:
        """Load a model with what an earlier load left in `folder`, as a deployment that keeps it would.

        The first time it fills the folder and is slower. None where the engine, or the device, keeps nothing.

        Raises
        ------
        RuntimeLoadError
            When the engine cannot load it.
        """
        return None


def as_numpy_dtype(name: str) -> np.dtype[Any]:
    """Give numpy's dtype for a `TensorInfo.dtype`, ml_dtypes' small types included."""
    import ml_dtypes
    import numpy as np

    special = getattr(ml_dtypes, name, None)
    return np.dtype(special) if special is not None else np.dtype(name)
