"""ONNX files as bytes: large weights are mapped when read and streamed when written.

A ModelProto is a protobuf message; its graph is field 7, a graph's initializers are field 5, and the
content of a tensor is field 9 (``raw_data``). Reading walks these three levels only, so that the bytes of
large weights are never copied; writing puts them out one at a time. The files are plain ONNX: see
``onnx.proto`` and the protobuf encoding specification.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

#: Bytes of content from which on a weight is mapped and streamed.
LARGE = 1 << 16
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_PACKED = ("INT4", "UINT4", "INT2", "UINT2", "FLOAT4E2M1", "STRING", "UNDEFINED")


@dataclass(frozen=True)
class Piece:
    """Where the content of a weight lies in a file: bytes from `offset` on; the index of its initializer."""

    index: int
    offset: int
    length: int


@dataclass(frozen=True)
class _Field:
    number: int
    kind: int
    start: int
    content: int
    end: int


def split(data: mmap.mmap | bytes) -> tuple[bytes, list[Piece]] | None:
    """Separate a serialized model from the content of its large weights.

    Parameters
    ----------
    data
        The file; only the parts between large weights are copied.

    Returns
    -------
    tuple or None
        The model's bytes without the content of large initializers of the main graph, and where that
        lies. None where the bytes are not laid out as usual: then the file has to be parsed whole.
    """
    try:
        fields = list(_fields(data, 0, len(data)))
        graphs = [field for field in fields if field.number == _GRAPH and field.kind == _BYTES]
        if len(graphs) != 1:
            return None
        graph, pieces = _split_graph(data, graphs[0])
    except (ValueError, IndexError):
        return None
    rest = b"".join(data[field.start : field.end] for field in fields if field is not graphs[0])
    return rest + _entry(_GRAPH, graph), pieces


def light_proto(path: Path) -> onnx.ModelProto | None:
    """Parse a model without the content of its large weights; None where it has to be parsed whole.

    Their tensors have name, type and dimensions, and no ``raw_data``.
    """
    import onnx

    found = _open(path)
    return None if found is None else onnx.ModelProto.FromString(found[1][0])


def skeleton_proto(path: Path) -> onnx.ModelProto | None:
    """Parse a model with its large weights turned into inputs of the graph; None where it has to be parsed whole.

    Names, types and shapes stay, so that a checker and shape inference take it for a model. Nor is
    there a skeleton where a large weight does not have the bytes that its type and shape need, or
    two weights have one name: what is wrong is found in the whole.
    """
    import onnx

    found = _open(path)
    if found is None:
        return None
    data, (light, pieces) = found
    proto = onnx.ModelProto.FromString(light)
    weights = proto.graph.initializer
    if not proto.ir_version or len({tensor.name for tensor in weights}) < len(weights):
        return None
    if any(_mapped(data, piece, weights[piece.index]) is None for piece in pieces):
        return None
    given = {value.name for value in proto.graph.input}
    for piece in reversed(pieces):
        weight = weights[piece.index]
        if weight.name not in given:
            value = onnx.helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims)
            proto.graph.input.append(value)
        del weights[piece.index]
    return proto


def map_model(path: Path) -> ir.Model | None:
    """Open a model with its large weights mapped from the file; None where it has to be parsed whole.

    The weights are read-only arrays that the system reads page by page, and may drop again.
    """
    import onnx
    import onnx_ir as ir

    found = _open(path)
    if found is None or sys.byteorder != "little":
        return None
    data, (light, pieces) = found
    proto = onnx.ModelProto.FromString(light)
    graph = proto.graph
    repeated = len({tensor.name for tensor in graph.initializer}) < len(graph.initializer)
    if not proto.ir_version or graph.sparse_initializer or repeated:
        return None
    names = [graph.initializer[piece.index].name for piece in pieces]
    tensors = [_mapped(data, piece, graph.initializer[piece.index]) for piece in pieces]
    if any(tensor is None for tensor in tensors):
        return None
    model = ir.from_proto(proto)
    for name, tensor in zip(names, tensors, strict=True):
        model.graph.initializers[name].const_value = tensor
    return model


def stream_model(model: ir.Model, path: Path) -> None:
    """Write a model to one file, the large weights of its main graph one at a time.

    Raises
    ------
    OSError
        When it cannot be written.
    """
    import onnx_ir as ir

    large = {name: value for name, value in model.graph.initializers.items() if _is_large(value)}
    order = list(model.graph.initializers.items())
    try:
        for name in large:
            model.graph.initializers.pop(name)
        proto = ir.to_proto(model)
    finally:
        model.graph.initializers.clear()
        model.graph.initializers.update(order)
    graph = proto.graph.SerializeToString()
    head, tail = _around_graph(proto)
    headers = [_header(value) for value in large.values()]
    contents = [value.const_value for value in large.values() if value.const_value is not None]
    sizes = [
        len(head) + len(_prefix(_RAW_DATA, c.nbytes)) + c.nbytes for head, c in zip(headers, contents, strict=True)
    ]
    total = len(graph) + sum(_entry_size(_INITIALIZER, size) for size in sizes)
    with path.open("wb") as stream:
        stream.write(head + _prefix(_GRAPH, total) + graph)
        for header, content, size in zip(headers, contents, sizes, strict=True):
            stream.write(_prefix(_INITIALIZER, size) + header + _prefix(_RAW_DATA, content.nbytes))
            _write_content(stream, content)
        stream.write(tail)


def _around_graph(proto: onnx.ModelProto) -> tuple[bytes, bytes]:
    """Serialize a model without its graph: the fields numbered below it, and those above; `proto` is used up.

    Fields in the order of their numbers are what other writers make, and OpenVINO recognizes an ONNX
    file by: it refuses one that begins with two operator sets.
    """
    import onnx

    proto.ClearField("graph")
    head = onnx.ModelProto()
    for field, value in proto.ListFields():
        if field.number < _GRAPH:
            setattr(head, field.name, value)
            proto.ClearField(field.name)
    return head.SerializeToString(), proto.SerializeToString()


def _write_content(stream: BinaryIO, content: Any) -> None:
    stream.flush()
    before = stream.tell()
    if hasattr(content, "tofile"):
        content.tofile(stream)
    else:
        stream.write(content.tobytes())
    stream.flush()
    if stream.tell() - before != content.nbytes:
        raise ValueError(f"the weight {content.name} has {stream.tell() - before} bytes, not {content.nbytes}")


def _is_large(value: ir.Value) -> bool:
    tensor = value.const_value
    return tensor is not None and tensor.nbytes >= LARGE and tensor.dtype.name not in ("STRING", "UNDEFINED")


def _header(value: ir.Value) -> bytes:
    """Serialize a weight without its content."""
    import onnx

    tensor = value.const_value
    if tensor is None:
        return b""
    dims = [int(str(size)) for size in tensor.shape]
    proto = onnx.TensorProto(name=value.name, data_type=int(tensor.dtype), dims=dims)
    if tensor.doc_string:
        proto.doc_string = tensor.doc_string
    return proto.SerializeToString()


def _open(path: Path) -> tuple[mmap.mmap, tuple[bytes, list[Piece]]] | None:
    with path.open("rb") as stream:
        data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    found = split(data)
    return None if found is None else (data, found)


def _mapped(data: mmap.mmap, piece: Piece, proto: onnx.TensorProto) -> ir.TensorProtocol | None:
    import math

    import numpy as np
    import onnx_ir as ir

    dtype = ir.DataType(proto.data_type)
    if dtype.name in _PACKED:
        return None
    shape, kind = tuple(proto.dims), dtype.numpy()
    if math.prod(shape) * kind.itemsize != piece.length:
        return None
    array = np.frombuffer(data, kind, math.prod(shape), piece.offset).reshape(shape)
    return ir.Tensor(array, dtype=dtype, name=proto.name, doc_string=proto.doc_string)


def _split_graph(data: mmap.mmap | bytes, graph: _Field) -> tuple[bytes, list[Piece]]:
    parts: list[bytes] = []
    pieces: list[Piece] = []
    index = 0
    for field in _fields(data, graph.content, graph.end):
        is_weight = field.number == _INITIALIZER and field.kind == _BYTES
        large = _large_content(data, field) if is_weight else None
        if large is None:
            parts.append(data[field.start : field.end])
        else:
            head = data[field.content : large.start] + data[large.end : field.end]
            parts.append(_entry(_INITIALIZER, head))
            pieces.append(Piece(index, large.content, large.end - large.content))
        index += is_weight
    return b"".join(parts), pieces


def _large_content(data: mmap.mmap | bytes, tensor: _Field) -> _Field | None:
    if tensor.end - tensor.content < LARGE:
        return None
    raw = [field for field in _fields(data, tensor.content, tensor.end) if field.number == _RAW_DATA]
    return raw[0] if len(raw) == 1 and raw[0].end - raw[0].content >= LARGE else None


def _fields(data: mmap.mmap | bytes, start: int, end: int) -> Iterator[_Field]:
    """Walk the fields of a message; a ValueError or IndexError where they do not fill it exactly."""
    while start < end:
        tag, content = _read_varint(data, start)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, stop = _read_varint(data, content)
        elif kind == _BYTES:
            length, content = _read_varint(data, content)
            stop = content + length
        elif kind in (_FIXED64, _FIXED32):
            stop = content + (8 if kind == _FIXED64 else 4)
        else:
            raise ValueError("a group")
        if stop > end:
            raise ValueError("cut off")
        yield _Field(number, kind, start, content, stop)
        start = stop


def _read_varint(data: mmap.mmap | bytes, start: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[start]
        value |= (byte & 0x7F) << shift
        start, shift = start + 1, shift + 7
        if byte < 0x80:
            return value, start
        if shift > 63:
            raise ValueError("no number")


def _prefix(number: int, length: int) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(length)


def _entry_size(number: int, length: int) -> int:
    return len(_prefix(number, length)) + length


def _entry(number: int, content: bytes) -> bytes:
    return _prefix(number, len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
