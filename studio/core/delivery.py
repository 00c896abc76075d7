"""Handing a model over: to a place of the user's, whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from studio.core.artifact import Artifact, describe_artifact, iterate_tensors
from studio.core.atomic import explain, explained
from studio.core.errors import StoreError
from studio.core.modelfile import read_light_proto, read_proto


def deliver(artifact: Artifact, target: Path) -> Artifact:
    """Copy a model to `target`; its external data goes to ``<target name>.data`` beside it.

    Several external files are numbered. Everything is written beside the target first and then moved,
    the model last, so that a failure leaves nothing half-made and an older file as it was.

    Raises
    ------
    StoreError
        When the target is a folder, its folder is missing, or it cannot be written.
    """
    check_target(target)
    locations = _new_locations(artifact, target)
    # Without external data the file is copied as it is.
    proto = read_proto(artifact.path) if locations else read_light_proto(artifact.path)
    for tensor in iterate_tensors(proto):
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = locations[entry.value]
    try:
        with tempfile.TemporaryDirectory(prefix=".burnish-", dir=target.parent) as name:
            folder = Path(name)
            for old, new in locations.items():
                shutil.copyfile(artifact.path.parent / old, folder / new)
            if locations:
                (folder / target.name).write_bytes(proto.SerializeToString(deterministic=True))
            else:
                shutil.copyfile(artifact.path, folder / target.name)
            for item in (*locations.values(), target.name):
                (folder / item).replace(target.parent / item)
    except OSError as error:
        reason, hint = explain(error)
        raise StoreError(f"{target} cannot be written: {reason}.", hint) from None
    return describe_artifact(target, read_light_proto(target))


def check_target(target: Path) -> None:
    """Refuse a target that cannot be a file, before any work is done.

    Raises
    ------
    StoreError
        When it is a folder, or its folder is missing or cannot be written.
    """
    with explained(target):
        if target.is_dir():
            raise StoreError(f"{target} is a folder.", "Give the name of the file to write.")
        target.exists()  # a name that is too long is an error already here
    if target.parent.is_file():
        raise StoreError(f"{target.parent} is a file, not a folder.", "Choose another folder.")
    if not target.parent.is_dir():
        raise StoreError(f"There is no folder {target.parent}.", "Make it, or choose another one.")
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        reason, hint = explain(error)
        raise StoreError(f"Nothing can be written to {target.parent.absolute()}: {reason}.", hint) from None


def _new_locations(artifact: Artifact, target: Path) -> dict[str, str]:
    locations = [file.location for file in artifact.external]
    if len(locations) == 1:
        return {locations[0]: f"{target.name}.data"}
    return {location: f"{target.name}.{index}.data" for index, location in enumerate(locations)}
