"""All there is to know of one node: attributes, tensors, what its weights look like, what its operator does."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from studio.core.artifact import Artifact
from studio.core.errors import UsageError, nearest
from studio.core.frozen import Frozen
from studio.core.modelfile import read_model
from studio.core.weights import content, named_nodes

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

#: weights with more elements are looked at in this many, evenly spread
MOST = 1 << 22
BINS = 32
#: attributes are shown up to this many characters
LONGEST = 400


class WeightInfo(Frozen):
    """What a weight looks like.

    `histogram` counts elements in bins of equal width from `low` to `high`. Statistics are None where there are
    none: for text, for no element, or where nothing is finite. `sampled` says whether only a part was looked at.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    deviation: float | None = None
    zeros: float | None = None
    histogram: tuple[int, ...] = ()
    sampled: bool = False


class NodeInfo(Frozen):
    """A node in full. Tensors are name to type and shape as text."""

    name: str
    operator: str
    domain: str
    opset: int
    document: str
    attributes: dict[str, str]
    inputs: dict[str, str]
    outputs: dict[str, str]
    weights: tuple[WeightInfo, ...]


def describe_node(artifact: Artifact, name: str) -> NodeInfo:
    """Describe a node of a model; only its own weights are read.

    Raises
    ------
    UsageError
        When the model has no node of that name.
    """
    model = read_model(artifact)
    nodes = dict(named_nodes(model))
    if name not in nodes:
        raise UsageError(f"There is no node {name!r}.", nearest(name, nodes) or "Look at the names in the graph.")
    node = nodes[name]
    version = model.opset_imports.get(node.domain, 0)
    return NodeInfo(
        name=name,
        operator=node.op_type,
        domain=node.domain or "ai.onnx",
        opset=version,
        document=_document(node, version),
        attributes={key: _attribute(item) for key, item in node.attributes.items()},
        inputs={str(value.name): _type(value) for value in node.inputs if value is not None and content(value) is None},
        outputs={str(value.name): _type(value) for value in node.outputs if value.name},
        weights=tuple(
            weight_info(str(value.name), tensor)
            for value in node.inputs
            if value is not None and (tensor := content(value)) is not None
        ),
    )


def weight_info(name: str, tensor: ir.TensorProtocol) -> WeightInfo:
    """Describe a weight."""
    import numpy as np

    shape = tuple(int(str(size)) for size in tensor.shape)
    found = WeightInfo(name=name, dtype=tensor.dtype.name.lower(), shape=shape, bytes=tensor.nbytes)
    if tensor.dtype.name == "STRING" or not math.prod(shape):
        return found
    array = np.asarray(tensor.numpy()).reshape(-1)
    step = -(-array.size // MOST)
    values = _numbers(array[::step])
    finite = values[np.isfinite(values)]
    if not finite.size:
        return found
    low, high = float(finite.min()), float(finite.max())
    counts, _ = np.histogram(finite, BINS, (low, high) if high > low else (low - 0.5, low + 0.5))
    return found.model_copy(
        update={
            "low": low,
            "high": high,
            "mean": float(finite.mean()),
            "deviation": float(finite.std()),
            "zeros": float((values == 0).mean()),
            "histogram": tuple(int(count) for count in counts),
            "sampled": step > 1,
        }
    )


def _numbers(array: NDArray[Any]) -> NDArray[np.float64]:
    import numpy as np

    return np.asarray(array.real if array.dtype.kind == "c" else array).astype(np.float64)


def _document(node: ir.Node, version: int) -> str:
    """Give what the ONNX specification says of an operator; empty for others."""
    import onnx

    try:
        return str(onnx.defs.get_schema(node.op_type, max(1, version), node.domain).doc or "").strip()
    except onnx.defs.SchemaError:
        return ""


def _attribute(item: ir.Attr) -> str:
    if item.is_ref():
        return f"@{item.ref_attr_name}"
    if item.type.name in ("GRAPH", "GRAPHS"):
        return "subgraph"
    if item.type.name == "TENSOR":
        tensor = item.as_tensor()
        return f"{tensor.dtype.name.lower()} {list(tensor.shape)}"
    text = ", ".join(str(part) for part in item.value) if isinstance(item.value, list | tuple) else str(item.value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _type(value: ir.Value) -> str:
    kind = value.dtype.name.lower() if value.dtype is not None else ""
    return f"{kind} {value.shape}" if value.shape is not None else kind
