"""A model on disk: content-addressed, with its external data, never modified in place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from studio.core.errors import ModelError
from studio.core.frozen import Frozen

if TYPE_CHECKING:
    import onnx

CHUNK = 1 << 20


class ExternalFile(Frozen):
    """A file of weights beside the model."""

    location: str
    sha256: str
    bytes: int


class Artifact(Frozen):
    """A model file and its external data files.

    `sha256` is that of the model file when it stands alone; with external data it is the sha256 of
    the model file's digest and each external file's location and digest, so that it changes when
    any weight does.
    """

    path: Path
    sha256: str
    model_bytes: int
    external: tuple[ExternalFile, ...] = ()

    @property
    def bytes(self) -> int:
        """Size on disk in bytes, external data included."""
        return self.model_bytes + sum(file.bytes for file in self.external)

    @property
    def files(self) -> tuple[Path, ...]:
        """The model file, then its external data files."""
        return (self.path, *(self.path.parent / file.location for file in self.external))


def open_artifact(path: Path | str) -> Artifact:
    """Read, check and hash a model file, without reading its external weights into memory.

    Parameters
    ----------
    path
        An ONNX file.

    Raises
    ------
    ModelError
        When it is missing, a folder, empty, another kind of file, truncated, or its external data
        is missing, too short, or outside the model's folder.
    """
    from studio.core.modelfile import read_light_proto

    path = Path(path)
    return describe_artifact(path, read_light_proto(path))


def describe_artifact(path: Path, proto: onnx.ModelProto) -> Artifact:
    """Hash a model file whose content (without external data) was already parsed.

    Raises
    ------
    ModelError
        When external data is missing, too short, or outside the model's folder.
    """
    external = tuple(_external_file(path, location, needed) for location, needed in external_extents(proto).items())
    own = sha256_file(path)
    return Artifact(
        path=path.absolute(), sha256=combined_sha256(own, external), model_bytes=path.stat().st_size, external=external
    )


def rehash(artifact: Artifact) -> str:
    """Compute the artifact's sha256 anew from its files, to see whether they were modified."""
    external = tuple(
        file.model_copy(update={"sha256": sha256_file(artifact.path.parent / file.location)})
        for file in artifact.external
    )
    return combined_sha256(sha256_file(artifact.path), external)


def sha256_file(path: Path) -> str:
    """Give the sha256 of a file's bytes, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def combined_sha256(own: str, external: tuple[ExternalFile, ...]) -> str:
    """Give an artifact's sha256 from that of its model file and its external data files."""
    if not external:
        return own
    lines = [own, *(f"{file.location} {file.sha256}" for file in sorted(external, key=lambda file: file.location))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def external_extents(proto: onnx.ModelProto) -> dict[str, int]:
    """List the external data files that a model refers to.

    Returns
    -------
    dict
        Location (as written in the model) to the number of bytes that the file must have at least;
        sorted by location.

    Raises
    ------
    ModelError
        When an offset or length is not a number of bytes.
    """
    extents: dict[str, int] = {}
    for tensor in iterate_tensors(proto):
        entry = {item.key: item.value for item in tensor.external_data}
        if tensor.data_location != tensor.EXTERNAL or not entry:
            continue
        end = _extent(tensor.name, entry)
        location = entry.get("location", "")
        extents[location] = max(extents.get(location, 0), end)
    return dict(sorted(extents.items()))


def iterate_tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Walk all tensors of a model: initializers and attributes, in subgraphs and functions too."""
    yield from _graph_tensors(proto.graph)
    for function in proto.functions:
        for node in function.node:
            yield from _node_tensors(node)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices
    for node in graph.node:
        yield from _node_tensors(node)


def _node_tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield sparse.values
            yield sparse.indices
        if attribute.HasField("g"):
            yield from _graph_tensors(attribute.g)
        for graph in attribute.graphs:
            yield from _graph_tensors(graph)


def _extent(tensor: str, entry: dict[str, str]) -> int:
    """Where a tensor's bytes end in its file."""
    numbers = [entry.get(key) or "0" for key in ("offset", "length")]
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise ModelError(
            f"The tensor {tensor!r} has external data at {' + '.join(numbers)!r}, which is no place in a file.",
            "Export the model again.",
        )
    return sum(map(int, numbers))


def _external_file(model: Path, location: str, needed: int) -> ExternalFile:
    target = _safe_target(model, location)
    if not target.is_file():
        raise ModelError(
            f"The external data file {location!r} of {model.name} is missing.",
            f"Put it beside the model in {model.parent}, or export the model again.",
        )
    size = target.stat().st_size
    if size < needed:
        raise ModelError(
            f"The external data file {location!r} of {model.name} is too short: {size:,} bytes of {needed:,}.",
            "Copy it again; it was probably cut off.",
        )
    return ExternalFile(location=location, sha256=sha256_file(target), bytes=size)


def _safe_target(model: Path, location: str) -> Path:
    """Refuse locations that leave the model's folder: a model must not be able to read other files."""
    parts = PurePosixPath(location).parts
    absolute = PurePosixPath(location).is_absolute() or PureWindowsPath(location).is_absolute()
    folder = model.parent.resolve()
    target = folder / location
    inside = not absolute and ".." not in parts and ".." not in PureWindowsPath(location).parts and bool(location)
    if not inside or not target.resolve().is_relative_to(folder):
        raise ModelError(
            f"{model.name} refers to external data outside its folder: {location!r}.",
            "Such a model could read other files, so it is refused; save it again with the data beside it.",
        )
    return target
