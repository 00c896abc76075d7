"""Inputs and outputs of an ONNX file as it states them, read without its weights.

Engines lose some of it: OpenVINO the names of dynamic dimensions, ONNX Runtime the difference between
a scalar and an unknown rank. Only the graph's inputs and outputs are parsed; everything else is stepped
over in the mapped file (https://protobuf.dev/programming-guides/encoding), so that 2 GB cost no memory.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from studio.core.runtime import Dimension

if TYPE_CHECKING:
    import onnx

_GRAPH, _NODE, _INPUT, _OUTPUT = 7, 1, 11, 12
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

#: an input or output: its name, and its dimensions where they are stated
Value = tuple[str, tuple[Dimension, ...] | None]


@dataclass(frozen=True)
class Signature:
    """Inputs (initializers among them, in old models) and outputs of a graph in its order; its number of nodes."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: int


def read_signature(path: Path) -> Signature:
    """Read a model's signature; the file was checked before, by `studio.core.artifact.open_artifact`."""
    inputs: list[Value] = []
    outputs: list[Value] = []
    nodes = 0
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for field, start, end in _fields(data, 0, len(data)):
            if field != _GRAPH:
                continue
            for inner, first, last in _fields(data, start, end):
                nodes += inner == _NODE
                if inner in (_INPUT, _OUTPUT):
                    (inputs if inner == _INPUT else outputs).append(_value(data[first:last]))
    return Signature(tuple(inputs), tuple(outputs), nodes)


def _value(encoded: bytes) -> Value:
    import onnx

    info = onnx.ValueInfoProto.FromString(encoded)
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return info.name, None
    return info.name, tuple(_dimension(item) for item in tensor.shape.dim)


def _dimension(item: onnx.TensorShapeProto.Dimension) -> Dimension:
    """Give a dimension; a negative size, which some exporters write, is a dynamic one."""
    if item.HasField("dim_value"):
        return item.dim_value if item.dim_value >= 0 else None
    return item.dim_param or None


def _fields(data: mmap.mmap, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Go through a message's fields: number, and where a length-delimited one starts and ends."""
    while position < end:
        tag, position = _varint(data, position)
        wire = tag & 7
        if wire == _BYTES:
            length, position = _varint(data, position)
            yield tag >> 3, position, position + length
            position += length
        elif wire == _VARINT:
            _, position = _varint(data, position)
        else:
            position += {_FIXED64: 8, _FIXED32: 4}[wire]


def _varint(data: mmap.mmap, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
