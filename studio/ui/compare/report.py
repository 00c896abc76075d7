"""The open project as a report: what the command line's ``--report`` writes, with the charts of the window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from studio.benchmark import BenchOptions, BenchResult, PairResult
from studio.core.continuation import chain, pooled_pair
from studio.core.measurement import Measurement
from studio.core.project import Project, Variant
from studio.core.statistics import compare
from studio.jobs.tasks.subject import Subject
from studio.report.page import Drawing, Report, report_html
from studio.report.rows import bench_document, evaluation_row
from studio.report.shapes import BenchDocument, StepRow
from studio.session import Session
from studio.ui.compare.charts import ParetoChart, RadarChart
from studio.ui.compare.rows import BY_KEY, HEADS, CompareRow
from studio.ui.theme import load_tokens


def drawings(rows: Sequence[CompareRow]) -> tuple[Drawing, ...]:
    """Draw the charts of a report, light; on the GUI thread."""
    tokens = load_tokens("light")
    scored = any("accuracy" in row.values for row in rows)
    pareto, radar = ParetoChart(tokens), RadarChart(tokens)
    pareto.show_rows(rows, BY_KEY["ratio"], BY_KEY["accuracy" if scored else "size"])
    radar.show_rows(rows)
    found = []
    for chart in (pareto, radar):
        chart.resize(900, 460)
        picture = chart.picture()
        if picture is not None:
            found.append(Drawing(chart.title, picture.svg()))
    return tuple(found)


def session_report(session: Session, rows: Sequence[CompareRow], drawn: Sequence[Drawing]) -> str:
    """Write the report of the variants of some rows; reads models' files, so not on the GUI thread."""
    project = session.project
    chosen = [variant for variant in project.variants if variant.id in {row.variant for row in rows}]
    models = {variant.model for variant in chosen}
    latest = {(item.model_sha256, item.metric): item for item in session.evaluations if item.model_sha256 in models}
    return report_html(
        Report(
            title=f"{project.source_name}: {len(chosen)} variants compared",
            info=session.info,
            steps={variant.name: _steps(project, variant) for variant in chosen if variant.step is not None},
            bench=_bench(session, chosen),
            evaluations=[evaluation_row(item) for item in latest.values()],
            drawings=drawn,
            table=(tuple(HEADS), tuple(row.cells for row in rows)),
        )
    )


def _steps(project: Project, variant: Variant) -> list[StepRow]:
    return [
        StepRow(
            id=item.step.pass_id,
            pass_version=item.step.version,
            params=item.step.params,
            scope=item.step.scope,
            unchanged=not item.changes,
            nodes=item.nodes,
            nodes_changed=dict(Counter(change.change for change in item.changes)),
            seconds=round(item.seconds, 3),
            warnings=item.warnings,
            notes={},
            verification=item.verification,
        )
        for item in project.lineage(variant.id)
        if item.step is not None
    ]


def _bench(session: Session, variants: Sequence[Variant]) -> BenchDocument | None:
    """Give the latest measurements of variants, runs that continue each other as one."""
    by_id = {item.id: item for item in session.measurements}
    names = {variant.model: variant.name for variant in variants}
    latest: dict[tuple[str, str], Measurement] = {}
    for item in session.measurements:
        if item.model_sha256 in names and item.samples_ns:
            latest[item.model_sha256, item.device.spec] = item
    if not latest:
        return None
    ids = {variant.model: variant.id for variant in variants}
    subjects = [
        Subject(name=names[sha], artifact=session.artifact(ids[sha]), device=item.device)
        for (sha, _), item in latest.items()
    ]
    measurements = [
        link.model_copy(update={"model_name": names[link.model_sha256]})
        for item in latest.values()
        for link in chain(item, by_id)
    ]
    known = {item.id for item in measurements}
    others = {item.paired_with for item in latest.values()} - known - {""}
    measurements += [by_id[key] for key in others if key in by_id]
    pairs = []
    for item in latest.values():
        samples = pooled_pair(item, by_id)
        if samples is not None:
            pairs.append(PairResult(baseline=item.paired_with, variant=item.id, estimate=compare(*samples)))
    result = BenchResult(subjects=tuple(subjects), measurements=tuple(measurements), pairs=tuple(pairs))
    newest = max(latest.values(), key=lambda item: item.taken_at)
    return bench_document(result, BenchOptions(run=newest.options, batch=newest.batch), newest.environment)
