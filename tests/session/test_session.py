"""One project through the session, with real workers."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from studio.benchmark import BenchOptions, measure
from studio.core.artifact import open_artifact
from studio.core.blobs import BlobStore
from studio.core.errors import PassError, StoreError, UsageError
from studio.core.project import BASELINE, remove_variant, rename_variant
from studio.core.recipe import Recipe, Step
from studio.jobs.pool import JobPool
from studio.jobs.protocol import JobEvent, Samples
from studio.jobs.tasks.subject import Subject
from studio.locations import load_registry
from studio.session import Session, Topic
from studio.workbench import Workbench
from tests import models

HALF = Step(pass_id="quantize.float16")


def recipe(*steps: Step) -> Recipe:
    return Recipe(steps=steps)


@pytest.fixture
def prune() -> Step:
    """Half of the weights, however small the layer."""
    return Step(pass_id="prune.unstructured", params={"sparsity": 0.5, "min_weights": 1})


def test_nothing_is_open_at_first(session: Session) -> None:
    assert not session.is_open
    with pytest.raises(UsageError, match="No model is open"):
        _ = session.project


def test_steps_become_variants_and_repeating_costs_nothing(
    session: Session, model: Path, prune: Step, topics: list[Topic]
) -> None:
    info = session.open_model(model)
    assert info.nodes == 5
    first = session.apply(recipe(prune, HALF), name="both")
    chain = session.project.lineage(first.variant.id)
    assert [variant.parent for variant in chain] == [None, BASELINE, chain[1].id]
    assert chain[-1].name == "both"
    assert chain[-1].provenance["conv"] == ("conv",)
    assert [step.pass_id for step in session.project.recipe_of("both").steps] == [
        "prune.unstructured",
        "quantize.float16",
    ]
    events: list[JobEvent] = []
    again = session.apply(recipe(prune, HALF), name="both", watch=events.append)
    assert again.variant == first.variant
    assert events == []
    assert len(session.project.variants) == 3
    assert topics.count("variants") >= 2


def test_a_branch_reuses_the_common_steps(session: Session, model: Path, prune: Step) -> None:
    session.open_model(model)
    one = session.apply(recipe(prune)).variant
    two = session.apply(recipe(HALF), parent=one.id).variant
    assert two.parent == one.id
    assert {variant.id for variant in session.project.children(one.id)} == {two.id}


def test_a_failing_step_keeps_those_before_it(session: Session, prune: Step, tmp_path: Path) -> None:
    np.savez(tmp_path / "nan.npz", image=np.full((4, 1, 8, 8), np.nan, np.float32))
    session.open_model(models.save(models.cnn(channels=16), tmp_path / "m.onnx"))
    bad = Step(pass_id="quantize.static")
    data = session.data().model_copy(update={"calibration": tmp_path / "nan.npz"})
    with pytest.raises(Exception, match="NaN"):
        session.apply(recipe(Step(pass_id="graph.clean"), bad), data=data)
    ready = session.apply(recipe(prune)).variant
    with pytest.raises(Exception, match="NaN"):
        session.apply(recipe(bad), parent=ready.id, data=data)
    assert session.project.variant(ready.id) == ready


def test_illegal_and_empty_recipes(session: Session, model: Path) -> None:
    session.open_model(model)
    with pytest.raises(UsageError, match="no steps"):
        session.apply(recipe())
    with pytest.raises(UsageError, match="cannot stand here"):
        session.apply(recipe(Step(pass_id="quantize.static"), Step(pass_id="quantize.dynamic")))
    assert len(session.project.variants) == 1


def test_undo_and_redo(session: Session, model: Path, prune: Step) -> None:
    session.open_model(model)
    made = session.apply(recipe(prune), name="half").variant
    session.edit("rename", lambda project: rename_variant(project, made.id, "other"))
    session.undo()
    assert session.project.variant(made.id).name == "half"
    session.edit("remove", lambda project: remove_variant(project, made.id))
    assert len(session.project.variants) == 1
    session.undo()
    session.redo()
    session.undo()
    assert session.artifact(made.id).path.is_file()


def test_saving_and_opening_again(session: Session, pool: JobPool, model: Path, prune: Step, tmp_path: Path) -> None:
    session.open_model(model)
    made = session.apply(recipe(prune), name="half").variant
    session.measure([BASELINE, made.id], BenchOptions(seconds=0.2))
    found = session.evaluate([BASELINE, made.id], ("cosine",))
    folder = session.save_as(tmp_path / "work.burnish")
    model.unlink()
    later = session.apply(recipe(HALF), name="float16").variant
    project, measured = session.project, session.measurements
    with_reader = Session(Workbench(load_registry(), pool, tmp_path / "cache2"))
    with_reader.open_project(folder)
    assert with_reader.read_only
    with_reader.close()
    session.close()
    with_reader.open_project(folder)
    assert [with_reader.read_only] == [False]
    assert with_reader.project == project
    assert with_reader.measurements == measured
    assert with_reader.evaluations == found
    assert with_reader.artifact(later.id).path.is_relative_to(folder)
    with_reader.close()


def test_undo_never_leads_to_a_collected_model(session: Session, model: Path, prune: Step, tmp_path: Path) -> None:
    session.open_model(model)
    gone = session.apply(recipe(HALF)).variant
    session.edit("remove", lambda project: remove_variant(project, gone.id))
    folder = session.save_as(tmp_path / "work.burnish")
    made = session.apply(recipe(prune)).variant
    session.edit("remove", lambda project: remove_variant(project, made.id))
    # Saved twice more: neither the document nor its backup names the two models then.
    session.edit("rename", lambda project: rename_variant(project, BASELINE, "one"))
    session.edit("rename", lambda project: rename_variant(project, BASELINE, "two"))
    assert session.collect() == 0
    for _ in range(3):
        session.undo()
    assert session.artifact(made.id).path.is_relative_to(folder)
    for _ in range(2):
        session.undo()
    assert session.artifact(gone.id).path.is_relative_to(folder)
    for _ in range(5):
        session.redo()
    session.close()
    blobs = BlobStore(folder / "blobs")
    session.open_project(folder)
    assert session.artifact().sha256 in blobs.digests()
    assert gone.model not in blobs.digests()


def test_collecting_frees_what_an_earlier_session_left(
    session: Session, model: Path, prune: Step, tmp_path: Path
) -> None:
    session.open_model(model)
    assert session.collect() == 0
    folder = session.save_as(tmp_path / "work.burnish")
    stray = open_artifact(models.save(models.mlp(), tmp_path / "stray.onnx"))
    BlobStore(folder / "blobs").put(stray)
    assert session.collect() >= stray.bytes
    assert set(BlobStore(folder / "blobs").digests()) == {session.artifact().sha256}


def test_a_folder_that_is_no_project_leaves_the_open_one(session: Session, model: Path, tmp_path: Path) -> None:
    session.open_model(model)
    before = session.project
    with pytest.raises(StoreError):
        session.open_project(tmp_path)
    with pytest.raises(Exception, match="no file"):
        session.open_model(tmp_path / "missing.onnx")
    assert session.project == before


def test_pairs_and_figures(session: Session, model: Path, prune: Step) -> None:
    session.open_model(model)
    made = session.apply(recipe(prune), name="half").variant
    seen: list[str] = []

    def watch(event: JobEvent) -> None:
        if isinstance(event, Samples):
            seen.append(event.series)

    result = session.measure([BASELINE, made.id], BenchOptions(seconds=0.3), watch=watch)
    baseline, variant = result.measurements
    assert variant.paired_with == baseline.id
    assert len(baseline.samples_ns) == len(variant.samples_ns) == result.pairs[0].estimate.pairs
    assert baseline.load_ns > 0
    assert baseline.first_ns > 0
    assert baseline.memory is not None
    assert baseline.synthetic
    assert baseline.environment.libraries["onnxruntime"]
    assert set(seen) == {subject.key for subject in result.subjects}
    assert session.measurements == result.measurements


def test_a_model_that_fails_does_not_spoil_the_others(session: Session, model: Path, tmp_path: Path) -> None:
    session.open_model(model)
    device = session.device("onnxruntime:CPU")
    good = session.artifact()
    gone = good.model_copy(update={"path": tmp_path / "gone.onnx"})
    subjects = [
        Subject(name=name, artifact=artifact, device=device)
        for name, artifact in (("good", good), ("gone", gone), ("same", good))
    ]
    result = measure(session.work, subjects, BenchOptions(seconds=0.2))
    assert [failure.name for failure in result.failures] == ["gone"]
    assert [pair.estimate.pairs > 0 for pair in result.pairs] == [True]


def test_stopping_keeps_complete_pairs(session: Session, model: Path, prune: Step) -> None:
    session.open_model(model)
    made = session.apply(recipe(prune), name="half").variant
    names = {f"{name} @ onnxruntime:CPU" for name in (BASELINE, "half")}
    steady: set[str] = set()
    enough = threading.Event()

    def watch(event: JobEvent) -> None:
        if isinstance(event, Samples) and event.info["phase"] == "steady":
            steady.add(event.series)
            if steady == names:
                enough.set()

    def stop() -> None:
        assert enough.wait(60)
        for job in session.work.pool.jobs:
            job.cancel()

    stopper = threading.Thread(target=stop)
    stopper.start()
    result = session.measure([BASELINE, made.id], BenchOptions(seconds=60), watch=watch)
    stopper.join()
    baseline, variant = result.measurements
    assert len(baseline.samples_ns) == len(variant.samples_ns) > 0


def test_exporting_a_variant(session: Session, model: Path, prune: Step, tmp_path: Path) -> None:
    session.open_model(model)
    made = session.apply(recipe(prune), name="half").variant
    written = session.export(made.id, "onnx-bundle", tmp_path / "half.zip")
    assert written.path.is_file()
    with pytest.raises(StoreError, match="folder"):
        session.export(made.id, "onnx-bundle", tmp_path)


def test_a_pass_of_a_plugin_that_raises_is_a_pass_error(session: Session, model: Path) -> None:
    session.open_model(model)
    with pytest.raises((PassError, UsageError)):
        session.apply(recipe(Step(pass_id="prune.unstructured", params={"sparsity": 1.0})))


def test_surveys_follow_the_variant(session: Session, model: Path, topics: list[Topic]) -> None:
    session.open_model(model)
    half = session.apply(recipe(HALF)).variant
    assert session.survey()["quantize.float16"].applies
    assert not session.survey(half.id)["quantize.float16"].applies
    assert topics.count("surveys") == 2


def test_what_a_step_needs_follows_its_parameters(session: Session, model: Path, prune: Step) -> None:
    session.open_model(model)
    by_data = prune.model_copy(update={"params": {**prune.params, "criterion": "wanda"}})
    first, second = session.apply(recipe(prune)), session.apply(recipe(by_data))
    assert not any("generated inputs" in text for record in first.records for text in record.warnings)
    assert any("generated inputs" in text for record in second.records for text in record.warnings)
