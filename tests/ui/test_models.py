from __future__ import annotations

from typing import Any

import pytest
from pytestqt.modeltest import ModelTester

from studio.core.evaluation import Difference, Evaluation
from studio.core.metric import Estimate
from studio.core.project import BASELINE, Project, Variant, remove_variant
from studio.core.statistics import RatioEstimate
from studio.jobs.protocol import ErrorInfo, Finished, Progress, Started
from studio.ui.jobs.model import KEPT, LEFT, SHARE_ROLE, STATE, JobsModel
from studio.ui.theme import Tokens
from studio.ui.variants.figures import Figures
from studio.ui.variants.model import ACCURACY, SIZE, SPEED, VariantModel


def variant(name: str, parent: str | None, **more: Any) -> Variant:
    return Variant(id=name, name=name, parent=parent, model=f"sha-{name}", bytes=2_000_000, nodes=3, **more)


@pytest.fixture
def project() -> Project:
    return Project(
        name="p",
        source_name="p.onnx",
        created_at="2026-01-01T00:00:00+00:00",
        variants=(variant(BASELINE, None), variant("a", BASELINE), variant("b", "a"), variant("c", BASELINE)),
    )


def test_variants_are_a_tree(qtmodeltester: ModelTester, project: Project, tokens: Tokens) -> None:
    model = VariantModel(tokens)
    qtmodeltester.check(model)  # type: ignore[no-untyped-call]
    model.set_project(project)
    qtmodeltester.check(model)  # type: ignore[no-untyped-call]
    assert model.rowCount() == 1
    assert model.rowCount(model.index_of(BASELINE)) == 2
    assert model.index_of("b").parent() == model.index_of("a")
    model.set_project(remove_variant(project, "a"))
    assert model.rowCount(model.index_of(BASELINE)) == 1
    assert not model.index_of("b").isValid()


def test_figures_are_written_beside_a_variant(project: Project, tokens: Tokens) -> None:
    model = VariantModel(tokens)
    model.set_project(project)
    speed = RatioEstimate(ratio=1.42, low=1.39, high=1.45, verdict="faster", pairs=60)
    accuracy = Evaluation(
        model_sha256="sha-a",
        model_name="a",
        dataset="d",
        dataset_digest="",
        synthetic=False,
        device="x:CPU",
        metric="top1",
        title="Top-1",
        unit="fraction",
        estimate=Estimate(value=0.9, low=0.8, high=0.95, samples=100),
        scores=(),
        difference=Difference(value=-0.03, low=-0.05, high=-0.01, significant=True),
        taken_at="",
    )
    model.set_figures({"sha-a": Figures(speed, accuracy)})
    row = model.index_of("a")
    assert row.siblingAtColumn(SPEED).data() == "▲ 1.42x (1.39-1.45)"
    assert row.siblingAtColumn(ACCURACY).data() == "-3.00 pp"
    assert row.siblingAtColumn(SIZE).data() == "2.00 MB"
    assert model.index_of("c").siblingAtColumn(SPEED).data() == "–"


def test_editing_a_name_asks_and_changes_nothing(project: Project, tokens: Tokens) -> None:
    model = VariantModel(tokens)
    model.set_project(project)
    asked: list[tuple[str, str]] = []
    model.rename_asked.connect(lambda *wish: asked.append(wish))
    assert not model.setData(model.index_of("a"), "new")
    assert asked == [("a", "new")]
    assert model.index_of("a").data() == "a"


def test_jobs_from_start_to_end(qtmodeltester: ModelTester, tokens: Tokens) -> None:
    now = [100.0]
    model = JobsModel(tokens, clock=lambda: now[0])
    qtmodeltester.check(model)  # type: ignore[no-untyped-call]
    model.take(Started("job-1", 1))
    now[0] += 10
    model.take(Progress("job-1", 25, 100, "halfway"))
    assert model.index(0, LEFT).data() == "30 s left"
    assert model.index(0, 0).data(SHARE_ROLE) == 0.25
    model.take(Finished("job-1", "completed", seconds=12))
    assert model.index(0, STATE).data() == "completed"
    assert model.active == []
    qtmodeltester.check(model)  # type: ignore[no-untyped-call]


def test_a_failure_is_a_row_with_what_to_do(tokens: Tokens) -> None:
    model = JobsModel(tokens)
    model.take(Started("job-1", 1))
    model.take(Finished("job-1", "failed", error=ErrorInfo("PassError", "It broke.", "Mend it.")))
    assert model.index(0, STATE).data() == "failed: It broke. Mend it."


def test_old_jobs_make_room(tokens: Tokens) -> None:
    model = JobsModel(tokens)
    for number in range(KEPT + 20):
        model.take(Started(f"job-{number}", 1))
        model.take(Finished(f"job-{number}", "completed"))
    assert model.rowCount() == KEPT
    model.take(Started("last", 1))
    model.clear_finished()
    assert model.rowCount() == 1
