"""Reading and writing ONNX files, with weights memory-mapped and every failure explained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from studio.core.artifact import Artifact, describe_artifact, iterate_tensors
from studio.core.atomic import explain
from studio.core.errors import BurnishError, Cancelled, ModelError, StoreError
from studio.core.modelbytes import LARGE, light_proto, map_model, skeleton_proto, stream_model

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

#: Weights above this many bytes in all go to a file beside the model (protobuf ends at 2 GiB).
EXTERNAL_THRESHOLD = 1_500_000_000


def read_proto(path: Path) -> onnx.ModelProto:
    """Parse a model file, without its external data.

    Raises
    ------
    ModelError
        When it cannot be read, or is not an ONNX model.
    """
    import onnx
    from google.protobuf.message import DecodeError

    _refuse_other_files(path)
    try:
        proto = onnx.load(str(path), format="protobuf", load_external_data=False)
    except DecodeError:
        raise ModelError(
            f"{path.name} is not a complete ONNX model: it cannot be decoded.",
            "Copy or export it again; it was probably cut off or is another format.",
        ) from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions.") from None
    if not proto.ir_version or not proto.HasField("graph"):
        raise ModelError(f"{path.name} is not an ONNX model.", "Give a file that was exported as ONNX.")
    return proto


def read_light_proto(path: Path) -> onnx.ModelProto:
    """Parse a model file like `read_proto`, but leave the content of large weights out where possible.

    Large initializers of the main graph then have no ``raw_data``; everything else is complete. It
    takes little memory whatever the size of the model.

    Raises
    ------
    ModelError
        When it cannot be read, or is not an ONNX model.
    """
    _refuse_other_files(path)
    try:
        proto = light_proto(path)
    except Exception:  # whatever is odd about the file, parsing it whole explains it
        proto = None
    return proto if proto is not None and proto.ir_version else read_proto(path)


def read_skeleton(path: Path) -> onnx.ModelProto:
    """Parse a model for checks that need no values: large weights may be inputs of the graph in it.

    Like `read_light_proto` it takes little memory; unlike its result this one is a valid model.

    Raises
    ------
    ModelError
        When it cannot be read, or is not an ONNX model.
    """
    _refuse_other_files(path)
    try:
        proto = skeleton_proto(path)
    except Exception:  # whatever is odd about the file, parsing it whole explains it
        proto = None
    return proto or read_proto(path)


def read_model(artifact: Artifact) -> ir.Model:
    """Open a model as onnx-ir; weights are memory-mapped, not read, those in the file itself too.

    Raises
    ------
    ModelError
        When it cannot be read.
    """
    import onnx_ir as ir

    model = _mapped(artifact.path)
    try:
        model = model or ir.from_proto(_dense(artifact.path, read_proto(artifact.path)))
        ir.external_data.set_base_dir(model.graph, artifact.path.parent)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"{artifact.path.name} has a graph that cannot be read: {_first_line(error)}.",
            "Check it with the ONNX checker, or export it again.",
        ) from error
    return model


def write_model(model: ir.Model, path: Path) -> Artifact:
    """Write an onnx-ir model; large weights go to ``<name>.data`` beside it.

    Parameters
    ----------
    model
        The model; its mapped weights are copied piece by piece.
    path
        The file to write; its folder must exist. The caller owns the folder: what a failed write
        leaves there is the caller's to remove.

    Raises
    ------
    StoreError
        When it cannot be written, such as on a full disk.
    """
    import onnx_ir as ir

    try:
        _internalize_attributes(model)
        if _weight_bytes(model) > EXTERNAL_THRESHOLD:
            ir.save(model, path, external_data=f"{path.name}.data")
        else:
            _internalize_weights(model)
            stream_model(model, path)
    except OSError as error:
        reason, hint = explain(error)
        raise StoreError(f"{path} cannot be written: {reason}.", hint) from None
    except Exception as error:
        raise _first_cause(error) from error
    return describe_artifact(path, read_light_proto(path))


def write_beside(artifact: Artifact, folder: Path) -> Artifact:
    """Write a copy of a model whose weights lie in a file beside it, a piece at a time.

    Raises
    ------
    StoreError
        When it cannot be written; what is there then is the caller's to remove.
    """
    import onnx_ir as ir

    path = folder / artifact.path.name
    try:
        ir.save(read_model(artifact), path, external_data=f"{path.name}.data")
    except OSError as error:
        reason, hint = explain(error)
        raise StoreError(f"{path} cannot be written: {reason}.", hint) from None
    return describe_artifact(path, read_light_proto(path))


def write_proto(proto: onnx.ModelProto, path: Path) -> Artifact:
    """Write a model that is wholly in memory; above 1.5 GB its weights go to ``<name>.data``.

    Raises
    ------
    StoreError
        When it cannot be written.
    """
    import onnx

    # Not proto.ByteSize(): it serializes the whole model, which fails above 2 GiB.
    large = sum(tensor.ByteSize() for tensor in iterate_tensors(proto)) > EXTERNAL_THRESHOLD
    try:
        # onnx appends to a data file that is there.
        path.with_name(f"{path.name}.data").unlink(missing_ok=True)
        onnx.save(proto, str(path), save_as_external_data=large, location=f"{path.name}.data" if large else None)
    except OSError as error:
        reason, hint = explain(error)
        raise StoreError(f"{path} cannot be written: {reason}.", hint) from None
    return describe_artifact(path, read_light_proto(path))


def _dense(path: Path, proto: onnx.ModelProto) -> onnx.ModelProto:
    """Refuse what onnx-ir drops without a word: the model would lack those weights."""
    if proto.graph.sparse_initializer:
        raise ModelError(
            f"{path.name} keeps weights as sparse tensors, which cannot be edited.", "Export it with dense weights."
        )
    return proto


def _mapped(path: Path) -> ir.Model | None:
    _refuse_other_files(path)
    try:
        return map_model(path)
    except Exception:  # whatever is odd about the file, parsing it whole explains it
        return None


def _refuse_other_files(path: Path) -> None:
    if not path.exists():
        raise ModelError(f"There is no file {path}.", "Check the path.")
    if path.is_dir():
        raise ModelError(f"{path} is a folder, not a model.", "Give the .onnx file inside it.")
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from None
    if not head:
        raise ModelError(f"{path.name} is empty.", "Export or copy the model again.")
    if head.startswith(b"PK"):
        raise ModelError(f"{path.name} is a zip archive, not an ONNX model.", "Unpack it and give the .onnx inside it.")


def _weight_bytes(model: ir.Model) -> int:
    return sum(
        value.const_value.nbytes
        for graph in (model.graph, *model.graph.subgraphs())
        for value in graph.initializers.values()
        if value.const_value is not None
    )


def _internalize_weights(model: ir.Model) -> None:
    """Bring mapped weights into memory that are not streamed: the artifact then stands alone."""
    for graph in (model.graph, *model.graph.subgraphs()):
        for value in graph.initializers.values():
            streamed = graph is model.graph and value.const_value is not None and value.const_value.nbytes >= LARGE
            if value.const_value is not None and not streamed:
                value.const_value = _in_memory(value.const_value)


def _internalize_attributes(model: ir.Model) -> None:
    """Bring mapped tensors of attributes (Constant nodes) into the file; they have no place beside it."""
    import onnx_ir as ir

    for node in model.graph.all_nodes():
        for name, attribute in list(node.attributes.items()):
            if attribute.is_ref() or attribute.type not in (ir.AttributeType.TENSOR, ir.AttributeType.TENSORS):
                continue
            if attribute.type == ir.AttributeType.TENSOR:
                node.attributes[name] = ir.AttrTensor(name, _in_memory(attribute.value))
            else:
                node.attributes[name] = ir.AttrTensors(name, [_in_memory(tensor) for tensor in attribute.value])


def _in_memory(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    import onnx_ir as ir

    return ir.Tensor(tensor.numpy(), name=tensor.name) if isinstance(tensor, ir.ExternalTensor) else tensor


def _first_cause(error: BaseException) -> BaseException:
    """Give what a tensor that is computed while it is written raised itself, which onnx-ir wraps."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BurnishError | Cancelled | MemoryError):
            return cause
        cause = cause.__cause__
    return error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
