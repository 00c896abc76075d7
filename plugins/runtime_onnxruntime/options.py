"""RunOptions as ONNX Runtime's session options, with what it cannot honour said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from studio.api import RunOptions, cpu_info

from .backends import Backend
from .catalog import CPU
from .engine import FATAL

_ASSIGNMENT = "session.record_ep_graph_assignment_info"
_BF16 = "mlas.enable_gemm_fastmath_arm64_bfloat16"


def session_options(ort: Any, backend: Backend, options: RunOptions) -> Any:
    """Make session options: sequential execution, spinning and graph optimization as the engine's default."""
    made = ort.SessionOptions()
    made.log_severity_level = FATAL
    made.inter_op_num_threads = 1
    made.add_session_config_entry(_ASSIGNMENT, "1")
    if options.threads is not None:
        made.intra_op_num_threads = options.threads
    affinity = _affinities(options)
    if affinity:
        made.add_session_config_entry("session.intra_op_thread_affinities", affinity)
    if options.precision == "bf16" and _has_fast_bf16(backend):
        made.add_session_config_entry(_BF16, "1")
    if backend.ep_device is not None:
        made.add_provider_for_devices([backend.ep_device], backend.options)
    return made


def providers(backend: Backend) -> list[tuple[str, dict[str, str]]] | None:
    """Give the providers of a session in order of preference; None for a plugin's, which the options name."""
    if backend.ep_device is not None:
        return None
    own = (backend.provider, backend.options)
    return [own] if backend.provider == CPU else [own, (CPU, {})]


def not_honoured(backend: Backend, options: RunOptions) -> Iterator[str]:
    """Say which of the options ONNX Runtime does not have."""
    if options.streams not in (None, 1):
        yield f"ONNX Runtime has no streams: {options.streams} streams were asked for, 1 is used."
    if options.hint == "throughput":
        yield "ONNX Runtime has no throughput hint; the option changed nothing."
    if options.precision in ("f16", "bf16") and not (options.precision == "bf16" and _has_fast_bf16(backend)):
        yield f"ONNX Runtime has no {options.precision} hint here; convert the model to change its precision."
    if options.pin and options.threads == 1:
        yield "ONNX Runtime does not pin the calling thread, and with 1 thread there is no other."
    elif options.pin and options.threads is not None and not _affinities(options):
        yield f"Threads are not pinned: {options.threads} threads do not fit the processors of this process."


def _affinities(options: RunOptions) -> str:
    """Pin thread i to processor i, as the engine counts them from 1; it leaves the calling thread alone.

    Without a number of threads the engine pins one to each core by itself.
    """
    if not options.pin or options.threads is None or options.threads < 2:
        return ""
    usable = _usable_processors()
    if options.threads > len(usable):
        return ""
    return ";".join(str(index + 1) for index in usable[1 : options.threads])


def _usable_processors() -> list[int]:
    import psutil

    process = psutil.Process()
    return list(process.cpu_affinity() or []) if hasattr(process, "cpu_affinity") else []


def _has_fast_bf16(backend: Backend) -> bool:
    return backend.provider == CPU and {"NEON", "BF16"} <= set(cpu_info().instruction_sets)
