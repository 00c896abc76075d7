"""Making a session, and seeing what it really became."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from studio.api import Artifact, RuntimeLoadError

from .backends import RUNTIME, Backend
from .catalog import CPU, provider
from .errors import load_error
from .options import providers


def open_session(ort: Any, artifact: Artifact, backend: Backend, settings: Any) -> Any:
    """Load a model by path, so that external data of any size stays outside the protobuf.

    Raises
    ------
    RuntimeLoadError
        When it cannot be loaded, or the execution provider did not start: a session that ran on the
        CPU under the name of a GPU would be measured as the GPU.
    """
    try:
        session = ort.InferenceSession(str(artifact.path), settings, providers=providers(backend), enable_fallback=0)
    except Exception as error:
        raise load_error(error, artifact.path.name) from None
    if backend.provider not in session.get_providers():
        raise RuntimeLoadError(
            f"{backend.provider} did not start on {backend.device.name}.",
            "Install the libraries it needs (for CUDA: CUDA and cuDNN of the build's versions), or choose the CPU.",
        )
    return session


def placement(session: Any, backend: Backend) -> tuple[dict[str, int], tuple[str, ...]]:
    """Count the nodes that each device executes, before fusion, and say what fell back to the CPU.

    Returns
    -------
    tuple
        Device spec to number of nodes; warnings.
    """
    counts: Counter[str] = Counter()
    fallen: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        nodes = part.get_nodes()
        counts[spec_of(part.ep_name, backend)] += len(nodes)
        if part.ep_name != backend.provider:
            fallen.update(node.op_type for node in nodes)
    return dict(counts), _fallback_warning(counts, fallen, backend)


def spec_of(name: str, backend: Backend) -> str:
    """Give the device spec of an execution provider's name within a session on `backend`."""
    if name == backend.provider:
        return backend.device.spec
    return f"{RUNTIME}:{'CPU' if name == CPU else provider(name).short}"


def _fallback_warning(counts: Mapping[str, int], fallen: Counter[str], backend: Backend) -> tuple[str, ...]:
    if not fallen:
        return ()
    total, lost = sum(counts.values()), sum(fallen.values())
    listed = ", ".join(f"{operator} ({number})" for operator, number in fallen.most_common(5))
    more = ", …" if len(fallen) > 5 else ""
    return (f"{lost} of {total} nodes do not run on {backend.device.id} but fall back: {listed}{more}.",)
