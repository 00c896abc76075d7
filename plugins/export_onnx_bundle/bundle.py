"""Target ``onnx-bundle``: a zip with the model and all that is needed to run and re-check it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from studio.api import ExportContext, Exporter, ExportResult, StoreError, pixels_source, recipe_toml

from .goldens import goldens_npz
from .manifest import manifest_json
from .readme import readme_text

TEMPLATES = Path(__file__).resolve().parent / "templates"
#: zip's earliest date: the same content gives the same bytes at any time
EPOCH = (1980, 1, 1, 0, 0, 0)
CHUNK = 1 << 20


class OnnxBundle(Exporter):
    """A zip that runs with ONNX Runtime and numpy alone; the same input gives the same bytes."""

    id: ClassVar[str] = "onnx-bundle"
    title: ClassVar[str] = "ONNX bundle (runs with ONNX Runtime alone)"
    summary: ClassVar[str] = "Model, recipe, run.py, verify.py with golden outputs, manifest and README in one zip."
    suffix: ClassVar[str] = ".zip"

    def export(self, context: ExportContext, target: Path) -> ExportResult:
        """Write the bundle beside its target, then move it into place.

        Raises
        ------
        StoreError
            When the target is a folder, or its folder is missing, read-only or full.
        """
        _check_target(target)
        texts = _texts(context)
        try:
            with tempfile.TemporaryDirectory(prefix=".burnish-export-", dir=target.parent) as folder:
                unfinished = Path(folder) / "bundle.zip"
                files = _write(unfinished, context, texts)
                unfinished.replace(target)
        except OSError as error:
            raise StoreError(
                f"{target} cannot be written: {error.strerror or error}.", "Free some space or choose another folder."
            ) from None
        with target.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        return ExportResult(path=target, sha256=sha256, bytes=target.stat().st_size, files=files)


def requirements(*, pictures: bool = False) -> str:
    """Pin what run.py and verify.py import, to the versions that the goldens were made with."""
    names = ("numpy", "onnxruntime", *(("pillow",) if pictures else ()))
    lines = [f"{name}=={importlib.metadata.version(name)}" for name in names]
    return "\n".join(lines) + "\n"


def _texts(context: ExportContext) -> dict[str, bytes]:
    """Make every small file but the manifest, which holds their hashes."""
    arrays, names = goldens_npz(context.goldens)
    texts = {
        "README.md": readme_text(context).encode(),
        "goldens.npz": arrays,
        "recipe.toml": recipe_toml(context.recipe).encode(),
        "requirements.txt": requirements(pictures=context.preprocessing is not None).encode(),
        "run.py": (TEMPLATES / "run.py").read_bytes(),
        "verify.py": (TEMPLATES / "verify.py").read_bytes(),
    }
    if context.preprocessing is not None:
        texts["pixels.py"] = pixels_source()
    hashes = {name: (hashlib.sha256(data).hexdigest(), len(data)) for name, data in texts.items()}
    hashes.update(_model_hashes(context))
    texts["MANIFEST.json"] = manifest_json(context, hashes, names).encode()
    return texts


def _model_files(context: ExportContext) -> Mapping[str, Path]:
    folder = context.artifact.path.parent
    files = {"model.onnx": context.artifact.path}
    files.update((file.location, folder / file.location) for file in context.artifact.external)
    return files


def _model_hashes(context: ExportContext) -> dict[str, tuple[str, int]]:
    hashes = {}
    for name, path in _model_files(context).items():
        with path.open("rb") as stream:
            hashes[name] = (hashlib.file_digest(stream, "sha256").hexdigest(), path.stat().st_size)
    return hashes


def _write(target: Path, context: ExportContext, texts: Mapping[str, bytes]) -> tuple[str, ...]:
    entries: dict[str, Any] = {**texts, **_model_files(context)}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        for done, name in enumerate(sorted(entries)):
            context.reporter.check()
            context.reporter.progress(done, len(entries), name)
            _add(archive, name, entries[name])
    return tuple(sorted(entries))


def _add(archive: zipfile.ZipFile, name: str, content: bytes | Path) -> None:
    info = zipfile.ZipInfo(name, date_time=EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3  # as on POSIX wherever it is made, so that the bytes are the same
    info.external_attr = 0o644 << 16
    if isinstance(content, bytes):
        archive.writestr(info, content)
        return
    info.file_size = content.stat().st_size
    with content.open("rb") as source, archive.open(info, "w") as sink:
        while piece := source.read(CHUNK):
            sink.write(piece)


def _check_target(target: Path) -> None:
    if target.is_dir():
        raise StoreError(f"{target} is a folder.", "Give the name of the file to write, such as bundle.zip.")
    if not target.parent.is_dir():
        raise StoreError(f"There is no folder {target.parent}.", "Make it, or choose another one.")
