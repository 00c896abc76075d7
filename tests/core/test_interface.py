"""Models whose interface a step changed: evaluated, verified and surveyed beside their source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from studio.core.artifact import open_artifact
from studio.core.interface import METADATA, changes_of, new_changes, parse_changes
from studio.core.report import SilentReporter
from studio.jobs.tasks import evaluate
from studio.jobs.tasks.evaluate import EvaluateModels
from studio.jobs.tasks.feeding import feed
from studio.jobs.tasks.subject import Subject
from tests.passes.graph.harness import REGISTRY, ROOT, once

SAMPLE = ROOT / "assets" / "samples" / "mnist-resnet.onnx"
EVAL = ROOT / "assets" / "samples" / "mnist-eval.npz"
DEVICE = next(device for runtime in REGISTRY.runtimes() for device in runtime.devices() if device.kind == "cpu")


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return once(
        "graph.fold-preprocessing", open_artifact(SAMPLE), tmp_path_factory.mktemp("fold") / "out", layout="nhwc"
    ).artifact


def evaluated(models: list[Any], data: Path | None) -> list[dict[str, Any]]:
    subjects = tuple(Subject(name=str(place), artifact=one, device=DEVICE) for place, one in enumerate(models))
    payload = EvaluateModels(models=subjects, data=data).model_dump(mode="json")
    found: list[dict[str, Any]] = evaluate.run(payload, SilentReporter())["evaluations"]
    return found


@pytest.fixture
def some(tmp_path: Path) -> Path:
    with np.load(EVAL) as data:
        np.savez(tmp_path / "some.npz", image=data["image"][:96], labels=data["labels"][:96])
    return tmp_path / "some.npz"


@pytest.mark.parametrize("first", ["source", "result"])
def test_both_are_evaluated_on_the_original_data(folded: Any, some: Path, first: str) -> None:
    models = [open_artifact(SAMPLE), folded]
    found = evaluated(models if first == "source" else models[::-1], some)
    assert [item["estimate"]["value"] for item in found] == [found[0]["estimate"]["value"]] * 2
    assert found[1]["difference"]["agreement"] == 1.0


def test_generated_data_is_rounded_for_both(folded: Any) -> None:
    found = evaluated([open_artifact(SAMPLE), folded], None)
    cosine = next(item for item in found if item["metric"] == "cosine")
    assert cosine["estimate"]["value"] > 0.99999


def test_alone_it_takes_pixels(folded: Any, some: Path, tmp_path: Path) -> None:
    with np.load(some) as data:
        raw = np.rint(data["image"] * 255).astype(np.uint8).transpose(0, 2, 3, 1)
        np.savez(tmp_path / "raw.npz", image=raw, labels=data["labels"])
    old, new = (evaluated([folded], path)[0]["estimate"]["value"] for path in (some, tmp_path / "raw.npz"))
    assert old == new > 0.9


def test_what_is_timed_is_what_it_takes(folded: Any, some: Path) -> None:
    fed = feed(REGISTRY, folded, some, 4, {}, 0).arrays["image"]
    assert fed.dtype == np.uint8
    assert fed.shape == (4, 28, 28, 1)


def test_an_illegible_record_is_none(tmp_path: Path) -> None:
    assert parse_changes("{") == parse_changes('[{"kind": "nothing"}]') == ()
    proto = onnx.load(str(SAMPLE))
    proto.metadata_props.add(key=METADATA, value="[")
    onnx.save(proto, str(tmp_path / "m.onnx"))
    assert changes_of(open_artifact(tmp_path / "m.onnx")) == ()


def test_only_what_is_new_counts(folded: Any) -> None:
    assert new_changes(open_artifact(SAMPLE), folded) == changes_of(folded)
    assert new_changes(folded, folded) == ()
