"""Exporters: a model, its recipe and its measurements as files that run without Burnish."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from studio.core.artifact import Artifact
from studio.core.dataset import Dataset
from studio.core.evaluation import Evaluation
from studio.core.frozen import Frozen
from studio.core.measurement import Measurement
from studio.core.preprocessing import Preprocessing
from studio.core.recipe import Recipe
from studio.core.report import Reporter, SilentReporter
from studio.core.runtime import TensorInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Golden:
    """Inputs and the outputs that the model gave for them here, to check against on the target."""

    feeds: Mapping[str, NDArray[Any]]
    outputs: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class ExportContext:
    """What an exporter is given.

    Attributes
    ----------
    source_name
        File name of the original model.
    source_sha256
        Its digest.
    goldens
        A few inputs with the outputs computed here by `golden_runtime`.
    preprocessing
        How pictures are prepared for the model; None when nothing is known of it.
    """

    artifact: Artifact
    recipe: Recipe
    source_name: str
    source_sha256: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    goldens: tuple[Golden, ...]
    golden_runtime: str
    synthetic: bool = False
    measurements: tuple[Measurement, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    dataset: Dataset | None = None
    preprocessing: Preprocessing | None = None
    reporter: Reporter = field(default_factory=SilentReporter)


class ExportResult(Frozen):
    """What was written: the path, its sha256 and bytes, and the names inside."""

    path: Path
    sha256: str
    bytes: int
    files: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class Exporter(ABC):
    """A target to export to."""

    id: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str] = ""
    #: what the written file's name should end with
    suffix: ClassVar[str] = ".zip"

    @abstractmethod
    def export(self, context: ExportContext, target: Path) -> ExportResult:
        """Write the bundle atomically: a failure leaves no file, and an older one as it was.

        Raises
        ------
        StoreError
            When the target cannot be written.
        """
