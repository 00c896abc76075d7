"""A model in an ONNX Runtime session."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api import Artifact, ExecutedNode, LoadedModel, RunOptions, RuntimeLoadError, check_feeds

from .backends import Backend
from .cached import optimized_before
from .errors import run_error
from .options import not_honoured, session_options
from .profiling import profile_model
from .session import open_session, placement
from .tensors import as_array, as_value, contiguous, describe_args, is_raw

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Providers whose memory an IOBinding can name; for the others the engine copies on each run.
_MEMORY = {"CUDAExecutionProvider": "cuda", "TensorrtExecutionProvider": "cuda", "DmlExecutionProvider": "dml"}


class OrtModel(LoadedModel):
    """A session and how to run it."""

    def __init__(
        self, ort: Any, artifact: Artifact, backend: Backend, options: RunOptions, cache: Path | None = None
    ) -> None:
        self._ort, self._artifact, self._backend, self._options = ort, artifact, backend, options
        settings = session_options(ort, backend, options)
        loaded = artifact if cache is None else optimized_before(ort, artifact, settings, cache)
        started = time.perf_counter_ns()
        session = open_session(ort, loaded, backend, settings)
        self.stages_ns = {"session": time.perf_counter_ns() - started}
        self._session: Any = session
        self.inputs = describe_args(session.get_inputs(), artifact, "input")
        self.outputs = describe_args(session.get_outputs(), artifact, "output")
        self._names = [info.name for info in self.outputs]
        self._raw = any(is_raw(info) for info in (*self.inputs, *self.outputs))
        self.placement, fallen = placement(session, backend)
        self.warnings = (*not_honoured(backend, options), *fallen)

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run one inference; see the contract."""
        session = self._open()
        check_feeds(self.inputs, feeds)
        plain = contiguous(feeds)
        try:
            found = self._run_values(session, plain) if self._raw else session.run(self._names, plain)
        except Exception as error:
            raise run_error(error) from None
        return dict(zip(self._names, found, strict=True))

    def bind(self, feeds: Mapping[str, NDArray[Any]]) -> Callable[[], None]:
        """Bind inputs and outputs once with an IOBinding; the engine reuses the outputs of the first run.

        Strings cannot be bound: such a model is fed on each run.
        """
        session = self._open()
        check_feeds(self.inputs, feeds)
        plain = contiguous(feeds)
        if any(info.dtype == "object" for info in (*self.inputs, *self.outputs)):
            return self._unbound(session, plain)
        binding = session.io_binding()
        memory, index = _MEMORY.get(self._backend.provider, "cpu"), int(self._backend.options.get("device_id", 0))
        for info in self.inputs:
            binding.bind_ortvalue_input(info.name, self._value(info, plain[info.name], memory, index))
        for name in self._names:
            binding.bind_output(name, memory, index)

        def once() -> None:
            try:
                session.run_with_iobinding(binding)
            except Exception as error:
                raise run_error(error) from None

        return once

    def profile(self, feeds: Mapping[str, NDArray[Any]], runs: int) -> tuple[ExecutedNode, ...]:
        """Run in a session of its own with the engine's profiler on; times are medians over the runs."""
        self._open()
        check_feeds(self.inputs, feeds)
        plain = contiguous(feeds)

        def execute(session: Any) -> None:
            try:
                self._run_values(session, plain) if self._raw else session.run(self._names, plain)
            except Exception as error:
                raise run_error(error) from None

        return profile_model(self._ort, self._artifact, self._backend, self._options, execute, runs)

    def close(self) -> None:
        """Free the session; what `bind` gave keeps it alive as long as it is held."""
        self._session = None

    def _open(self) -> Any:
        if self._session is None:
            raise RuntimeLoadError("The model was closed.", "Load it again.")
        return self._session

    def _run_values(self, session: Any, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        values = {info.name: as_value(self._ort, info, feeds[info.name]) for info in self.inputs}
        found = session.run_with_ort_values(self._names, values)
        return [as_array(info, value) for info, value in zip(self.outputs, found, strict=True)]

    def _value(self, info: Any, array: NDArray[Any], memory: str, index: int) -> Any:
        if memory == "cpu" or is_raw(info):
            return as_value(self._ort, info, array)
        return self._ort.OrtValue.ortvalue_from_numpy(array, memory, index)

    def _unbound(self, session: Any, feeds: Mapping[str, NDArray[Any]]) -> Callable[[], None]:
        def once() -> None:
            try:
                session.run(self._names, feeds)
            except Exception as error:
                raise run_error(error) from None

        return once
