"""Where the shapes in a model contradict each other."""

from __future__ import annotations

import re

import onnx_ir as ir

from studio.api import PassError

from .infer import without_weights

#: one entry of the message of ONNX's strict inference; the innermost node is the one at fault
_ENTRY = re.compile(r"\(op_type:(\S+?), node name: ([^\n]*?)\): \[\w+\] (?!Inference error)([^\n]*)")
#: what follows from another node's contradiction
_CONSEQUENCE = "expected to have type"


def contradictions(model: ir.Model) -> dict[str, str]:
    """Name the nodes at which ONNX's strict shape inference finds a contradiction, each with its reason."""
    import onnx

    proto = ir.to_proto(without_weights(model))
    try:
        onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:
        entries = _ENTRY.findall(str(error))
        return {name: reason for _, name, reason in entries if _CONSEQUENCE not in reason}
    return {}


def refuse_contradictions(model: ir.Model, known: dict[str, str], what: str) -> None:
    """Refuse sizes that contradict the model.

    Parameters
    ----------
    known
        The contradictions that were there before.
    what
        The sizes, for the message.

    Raises
    ------
    PassError
        With the first node at which they do.
    """
    fresh = {name: reason for name, reason in contradictions(model).items() if name not in known}
    for name, reason in fresh.items():
        raise PassError(
            f"{what} contradicts the node {name!r}: {reason.strip().rstrip('.')}.",
            "Give sizes that the model can take; 'burnish inspect' shows its inputs.",
        )
