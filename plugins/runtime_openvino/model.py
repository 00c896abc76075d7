"""A model compiled by OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api import (
    Artifact,
    Cancelled,
    Device,
    ExecutedNode,
    Flow,
    GoOn,
    LoadedModel,
    RunOptions,
    RuntimeLoadError,
    check_feeds,
    read_signature,
)

from .compiling import Compiler, first_working
from .devices import RUNTIME
from .errors import run_error
from .options import not_honoured
from .profiling import profile_model
from .tensors import as_array, as_tensor, describe_ports

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Shapes = tuple[tuple[int, ...], ...]

#: `run` compiles for so many shapes (a batch and the shorter last one); more would cost more than they save.
_SHAPES_OF_RUN = 2


class OpenVinoModel(LoadedModel):
    """A compiled model, compiled again for fixed shapes when it is dynamic; see `Compiler`.

    `bind` always runs a model compiled for the shapes it is given, and `run` the same one from then
    on, so that both give the same values. `run` on its own compiles for the first two shapes it meets;
    for further ones it runs the dynamic model.
    """

    def __init__(
        self, ov: Any, artifact: Artifact, device: Device, options: RunOptions, cache: Path | None = None
    ) -> None:
        self._ov, self._artifact, self._device, self._options = ov, artifact, device, options
        compiler = Compiler(ov, artifact, device.id, options, cache)
        self.stages_ns = compiler.stages_ns
        signature = read_signature(artifact.path)
        self.inputs = describe_ports(compiler.model.inputs, signature.inputs, "input")
        self.outputs = describe_ports(compiler.model.outputs, signature.outputs, "output")
        self.placement = {device.spec: signature.nodes}
        self._dynamic = compiler.dynamic
        # An NPU compiles fixed shapes only, and no device compiles an unknown rank: they wait for shapes.
        self._waits = self._dynamic and (device.kind == "npu" or any(info.shape is None for info in self.inputs))
        self._fixed: dict[Shapes, Any] = {}
        self._compiler: Compiler | None = compiler
        #: the compiled model that `run` used last, and its request
        self._running: tuple[Any, Any] | None = None
        self._general: Any = None if self._waits else self._judged(compiler.compile())

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run one inference; see the contract."""
        compiled = self._compiled(self._shapes(feeds), always_fixed=False)
        if self._running is None or self._running[0] is not compiled:
            self._running = (compiled, compiled.create_infer_request())
        request = self._running[1]
        _kept = self._feed(request, feeds)
        self._execute(request)
        return {info.name: as_array(info, request.get_output_tensor(i)) for i, info in enumerate(self.outputs)}

    def bind(self, feeds: Mapping[str, NDArray[Any]]) -> Callable[[], None]:
        """Set the inputs of a request of its own once; outputs stay in its tensors.

        A dynamic model is compiled for the shapes of `feeds`, here and not in the callable.
        """
        compiled = self._compiled(self._shapes(feeds), always_fixed=True)
        request = compiled.create_infer_request()
        kept = self._feed(request, feeds)
        infer, device = request.infer, self._device.id

        # Synchronous, in this thread: handing over to another (start_async, wait) costs some 20 us.
        def once(_: Any = kept) -> None:
            try:
                infer(share_outputs=True)
            except Exception as error:
                raise run_error(error, device) from None

        return once

    def run_async(self, feeds: Mapping[str, NDArray[Any]], requests: int, go_on: GoOn) -> Flow:
        """Keep asynchronous requests in flight, which the engine spreads over its streams; see the contract."""
        from .flight import fly

        compiled = self._compiled(self._shapes(feeds), always_fixed=True)
        made = [compiled.create_infer_request() for _ in range(requests)]
        _kept = [self._feed(request, feeds) for request in made]
        try:
            return fly(made, go_on)
        except (Cancelled, RuntimeLoadError):
            raise
        except Exception as error:
            raise run_error(error, self._device.id) from None

    def profile(self, feeds: Mapping[str, NDArray[Any]], runs: int) -> tuple[ExecutedNode, ...]:
        """Count in a model compiled apart with counters on; times are means over `runs` after a first run."""
        compiler, shapes = self._open(), self._shapes(feeds)
        compiled = first_working(compiler, shapes, counters=True)
        request = compiled.create_infer_request()
        _kept = self._feed(request, feeds)
        return profile_model(compiled, request, lambda: self._execute(request), self._artifact, self._device, runs)

    def close(self) -> None:
        """Free the compiled models; what `bind` gave keeps its own alive as long as it is held."""
        self._compiler = self._general = self._running = None
        self._fixed.clear()

    def _open(self) -> Compiler:
        if self._compiler is None:
            raise RuntimeLoadError("The model was closed.", "Load it again.")
        return self._compiler

    def _shapes(self, feeds: Mapping[str, NDArray[Any]]) -> Shapes:
        check_feeds(self.inputs, feeds)
        return tuple(tuple(feeds[info.name].shape) for info in self.inputs)

    def _compiled(self, shapes: Shapes, *, always_fixed: bool) -> Any:
        compiler = self._open()
        if not self._dynamic:
            return self._general
        if shapes not in self._fixed and (always_fixed or self._waits or len(self._fixed) < _SHAPES_OF_RUN):
            # Freed first, so that the weights are not in memory twice.
            self._general = self._running = None
            self._fixed[shapes] = self._judged(first_working(compiler, shapes))
        if shapes in self._fixed:
            return self._fixed[shapes]
        if self._general is None:
            self._general = compiler.compile()
        return self._general

    def _judged(self, compiled: Any) -> Any:
        """Note which options and which device the compiled model really has."""
        self.warnings = tuple(not_honoured(compiled, self._device.id, self._options))
        executed = compiled.get_property("EXECUTION_DEVICES")
        if len(executed) == 1:
            self.placement = {f"{RUNTIME}:{executed[0]}": sum(self.placement.values())}
        return compiled

    def _feed(self, request: Any, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Set a request's inputs, and give the arrays that it reads, which must outlive its inferences."""
        import numpy as np

        arrays = [np.require(feeds[info.name], requirements=["C", "W"]) for info in self.inputs]
        try:
            for index, (info, array) in enumerate(zip(self.inputs, arrays, strict=True)):
                request.set_input_tensor(index, as_tensor(self._ov, info, array))
        except Exception as error:
            raise run_error(error, self._device.id) from None
        return arrays

    def _execute(self, request: Any) -> None:
        try:
            request.infer(share_outputs=True)
        except Exception as error:
            raise run_error(error, self._device.id) from None
