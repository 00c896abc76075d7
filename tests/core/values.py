"""Builders of plain values for the tests of the store."""

from __future__ import annotations

import os
from pathlib import Path

from studio.core.artifact import Artifact, open_artifact
from studio.core.atomic import TEMPORARY_PREFIX
from studio.core.device import Device
from studio.core.environment import Environment
from studio.core.evaluation import Evaluation
from studio.core.measurement import Measurement
from studio.core.metric import Estimate
from studio.core.passes import NodeChange
from studio.core.project import BASELINE, Project, Variant, add_variant
from studio.core.recipe import Step
from studio.core.runner import StepRecord
from studio.core.runtime import RunOptions
from studio.core.verification import Verification
from tests.models import mlp, save, save_external

STEP = Step(pass_id="graph.clean", params={"folds": ("a", "b"), "limit": None, "ratio": 0.5})


def artifact(folder: Path, seed: int = 0) -> Artifact:
    """A model that stands alone."""
    return open_artifact(save(mlp(seed=seed), folder / f"net{seed}.onnx"))


def external_artifact(folder: Path, seed: int = 0) -> Artifact:
    """A model with its weights in a sub-folder."""
    return open_artifact(save_external(mlp(seed=seed), folder / f"big{seed}.onnx", f"data/w{seed}.bin"))


def project(source: Artifact) -> Project:
    """A project with nothing but its baseline."""
    baseline = Variant(id=BASELINE, name=BASELINE, model=source.sha256, bytes=source.bytes, nodes=3)
    return Project(name="net", source_name=source.path.name, created_at="2026-01-01T00:00:00Z", variants=(baseline,))


def with_variant(before: Project, made: Artifact, name: str = "clean") -> Project:
    """The project with a variant, whose every field is filled."""
    variant = Variant(
        id=f"v-{name}",
        name=name,
        parent=BASELINE,
        step=STEP,
        model=made.sha256,
        bytes=made.bytes,
        nodes=2,
        provenance={"fc1": ("fc1", "relu")},
        changes=(NodeChange(node="relu", operator="Relu", change="removed"),),
        warnings=("careful",),
        verification=verification(),
        seconds=1.25,
    )
    return add_variant(before, variant)


def verification() -> Verification:
    """What an overflowing model gives: an infinite error, no finite ratio."""
    return Verification(
        exact=False,
        identical=False,
        max_abs_error=float("inf"),
        sqnr_db=float("-inf"),
        cosine=0.5,
        top1_agreement=None,
        samples=4,
        synthetic=True,
        runtime="onnxruntime:CPU",
    )


def record(source: Artifact, made: Artifact) -> StepRecord:
    """What applying a step gave."""
    return StepRecord(
        step=STEP,
        source_sha256=source.sha256,
        artifact=made,
        nodes=2,
        unchanged=False,
        changes=(),
        warnings=("careful",),
        notes={"folded": 3},
        provenance={"fc1": ("fc1",)},
        verification=verification(),
        seconds=2.5,
    )


def measurement(name: str) -> Measurement:
    """A measurement with a few samples."""
    return Measurement(
        id=name,
        model_sha256="0" * 64,
        model_name="net",
        device=Device(runtime="onnxruntime", id="CPU", name="processor", kind="cpu"),
        runtime_version="1.0",
        options=RunOptions(),
        batch=1,
        feeds={"image": (1, 8)},
        synthetic=True,
        samples_ns=(1000, 1001, 1002),
        warmup_ns=(2000,),
        load_ns=5,
        first_ns=6,
        environment=Environment(
            cpu="processor",
            instruction_sets=("AVX2",),
            physical_cores=None,
            logical_cores=2,
            memory_bytes=1,
            system="system",
            python="3",
            libraries={},
        ),
        taken_at="2026-01-01T00:00:00Z",
    )


def evaluation(name: str) -> Evaluation:
    """An evaluation whose scores are not all finite."""
    return Evaluation(
        model_sha256="0" * 64,
        model_name=name,
        dataset="data",
        dataset_digest="1" * 64,
        synthetic=False,
        device="onnxruntime:CPU",
        metric="sqnr",
        title="SQNR",
        unit="dB",
        estimate=Estimate(value=float("inf"), low=20.0, high=float("inf"), samples=2),
        scores=(20.0, float("inf")),
        taken_at="2026-01-01T00:00:00Z",
    )


def temporaries(folder: Path) -> list[Path]:
    """All that was left half done below a folder."""
    return [path for path in folder.rglob("*") if path.name.startswith(TEMPORARY_PREFIX)]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {os.fspath(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
