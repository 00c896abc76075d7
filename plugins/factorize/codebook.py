"""A weight as small indices into a table, in operators that every engine has and folds when it loads.

For one table a weight, a byte holds one, two, four or eight indices and looks up a table with an entry for each
byte: a table of 16 centroids becomes one of 256 pairs. With a table for each channel, a byte holds one index or two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio.api import Weight

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Codebook:
    """Indices into tables.

    Attributes
    ----------
    tables
        Shape ``(centroids,)``, or ``(channels, centroids)``.
    indices
        uint8 of the weight's shape.
    axis
        The weight's axis whose entries have tables of their own.
    """

    tables: NDArray[Any]
    indices: NDArray[Any]
    axis: int = 0


def bits_of(centroids: int, *, channels: bool) -> int:
    """Give the bits in which an index is stored."""
    if centroids > 16:
        return 8
    return 4 if centroids > 4 or channels else 2 if centroids > 2 else 1


def stored_bytes(size: int, centroids: int, itemsize: int, channels: int = 0) -> int:
    """Give the bytes that a weight of `size` elements takes as indices with its tables.

    Parameters
    ----------
    channels
        Number of tables, 0 for one table for all.
    """
    bits = bits_of(centroids, channels=bool(channels))
    table = channels * centroids if channels else (256 * (8 // bits) if bits < 8 else centroids)
    return -(-size * bits // 8) + table * itemsize + 4 * channels


def insert(weight: Weight, book: Codebook, prefix: str) -> list[ir.Node]:
    """Put a codebook in a weight's place.

    Parameters
    ----------
    prefix
        Begins the names of what is added; unique in the model.

    Returns
    -------
    list
        The nodes that were added, in order.
    """
    maker = _Maker(weight, prefix)
    if book.tables.ndim == 1:
        maker.shared(book)
    else:
        maker.by_channel(book)
    weight.node.replace_input_with(weight.index, maker.value)
    return maker.nodes


class _Maker:
    """Adds operators one after the other; `value` is the last one's output."""

    def __init__(self, weight: Weight, prefix: str) -> None:
        self._weight, self._prefix = weight, prefix
        self.nodes: list[ir.Node] = []
        self.value: ir.Value | None = None

    def shared(self, book: Codebook) -> None:
        """Look up bytes in one table of as many values as a byte has indices."""
        import numpy as np

        bits = bits_of(len(book.tables), channels=False)
        count = 8 // bits
        entries = np.arange(256 if count > 1 else len(book.tables))
        parts = [(entries >> (bits * part)) & (2**bits - 1) for part in range(count)]
        table = book.tables[np.minimum(np.stack(parts, axis=1), len(book.tables) - 1)]
        self._bytes(_packed(book.indices, bits))
        self._lookup(table if count > 1 else table[:, 0])
        self._trim(book.indices.size, count)

    def by_channel(self, book: Codebook) -> None:
        """Add each channel's offset to its indices and look them up in all tables in a row."""
        import numpy as np

        channels, centroids = book.tables.shape
        rows = np.moveaxis(book.indices, book.axis, 0)
        flat = rows.reshape(channels, -1)
        bits = bits_of(centroids, channels=True)
        width = flat.shape[1]
        if bits == 4:
            padded = np.pad(flat, ((0, 0), (0, width % 2)))
            self._bytes((padded[:, 0::2] | (padded[:, 1::2] << 4)).astype(np.uint8))
            self._nibbles(channels, padded.shape[1])
            if width % 2:
                self._slice(width)
        else:
            self._bytes(flat)
        self._add("Add", self.value, self._constant(centroids * np.arange(channels, dtype=np.int32)[:, None], "offset"))
        self._lookup(book.tables.reshape(-1))
        self._add("Reshape", self.value, self._constant(np.array(rows.shape, np.int64), "rows"))
        if book.axis:
            import onnx_ir as ir

            order = list(range(1, rows.ndim))
            order.insert(book.axis, 0)
            self._add("Transpose", self.value, attributes=[ir.AttrInt64s("perm", order)])

    def _nibbles(self, channels: int, width: int) -> None:
        import numpy as np
        import onnx_ir as ir

        packed, sixteen = self.value, self._constant(np.array(16, np.int32), "sixteen")
        high = self._add("Div", packed, sixteen)
        low = self._add("Sub", packed, self._add("Mul", high, sixteen))
        axis = self._constant(np.array([channels, width // 2, 1], np.int64), "pairs")
        both = [self._add("Reshape", part, axis) for part in (low, high)]
        self._add("Concat", *both, attributes=[ir.AttrInt64("axis", 2)])
        self._add("Reshape", self.value, self._constant(np.array([channels, width], np.int64), "flat"))

    def _slice(self, width: int) -> None:
        import numpy as np

        picks = self._constant(np.arange(width, dtype=np.int32), "columns")
        import onnx_ir as ir

        self._add("Gather", self.value, picks, attributes=[ir.AttrInt64("axis", 1)])

    def _bytes(self, array: NDArray[Any]) -> None:
        import onnx_ir as ir

        attribute = ir.AttrInt64("to", int(ir.DataType.INT32))
        self._add("Cast", self._constant(array, "indices"), attributes=[attribute])

    def _lookup(self, table: NDArray[Any]) -> None:
        self._add("Gather", self._constant(table, "codebook", like_weight=True), self.value)

    def _trim(self, size: int, count: int) -> None:
        """Bring what was looked up into the weight's shape; a last byte may hold indices of nothing."""
        import numpy as np

        if size % count:
            self._add("Reshape", self.value, self._constant(np.array([-1], np.int64), "line"))
            start, stop = (self._constant(np.array([end], np.int64), f"end{end}") for end in (0, size))
            self._add("Slice", self.value, start, stop)
        self._add("Reshape", self.value, self._constant(np.array(self._weight.shape, np.int64), "shape"))

    def _add(self, operator: str, *inputs: ir.Value | None, attributes: list[ir.Attr] | None = None) -> ir.Value:
        import onnx_ir as ir

        first = operator == "Gather" and not any(attribute.name == "axis" for attribute in attributes or ())
        dtype = self._weight.tensor.dtype if first or self._looked_up() else ir.DataType.INT32
        name = f"{self._prefix}_{len(self.nodes)}"
        output = ir.Value(name=f"{name}_out", type=ir.TensorType(dtype))
        node = ir.Node("", operator, inputs, attributes or (), outputs=[output], name=name)
        graph = self._weight.node.graph
        assert graph is not None
        graph.insert_before(self._weight.node, node)
        self.nodes.append(node)
        self.value = output
        return output

    def _looked_up(self) -> bool:
        return any(node.inputs[0] is not None and str(node.inputs[0].name).endswith("_codebook") for node in self.nodes)

    def _constant(self, array: NDArray[Any], label: str, *, like_weight: bool = False) -> ir.Value:
        import onnx_ir as ir

        name = f"{self._prefix}_{label}"
        if like_weight:
            dtype = self._weight.tensor.dtype
            tensor = ir.Tensor(array.astype(dtype.numpy()), dtype=dtype, name=name)
        else:
            tensor = ir.Tensor(array, name=name)
        value = ir.Value(name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=tensor.shape)
        graph = self._weight.node.graph
        assert isinstance(graph, ir.Graph)
        graph.register_initializer(value)
        return value


def _packed(indices: NDArray[Any], bits: int) -> NDArray[Any]:
    """Put indices into bytes, lowest bits first; keeps the shape where nothing is packed."""
    import numpy as np

    count = 8 // bits
    if count == 1:
        return indices
    flat = np.pad(indices.reshape(-1), (0, -indices.size % count)).reshape(-1, count)
    shifts = (bits * np.arange(count)).astype(np.uint8)
    packed: NDArray[Any] = np.bitwise_or.reduce(flat << shifts, axis=1).astype(np.uint8)
    return packed
