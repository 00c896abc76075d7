from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from studio.analysis.disagreements import DisagreeOptions, disagreements
from studio.core.disagreeing import Differences, Picked, partings, probabilities
from studio.core.layererrors import TensorError
from studio.core.outputstore import OutputWriter, find_outputs
from studio.jobs.pool import JobPool
from studio.jobs.tasks.subject import Subject
from studio.workbench import Workbench
from tests import models
from tests.analysis.support import damaged, saved
from tests.passes.calibrated import Samples
from tests.passes.graph.harness import REGISTRY, run


def test_verdicts_margins_and_order() -> None:
    before = np.log(np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]]))
    after = np.log(np.array([[0.2, 0.7, 0.1], [0.4, 0.5, 0.1], [0.1, 0.8, 0.1], [0.4, 0.3, 0.3]]))
    found = Differences(2, 20.0)
    found.add({"y": before}, {"y": after}, np.array([0, 1, 1, 1]))
    assert (found.samples, found.differing) == (4, 3)
    assert found.verdicts == {"broken": 1, "mended": 1, "changed": 1}
    assert found.classes == {"0 -> 1": 2, "2 -> 0": 1}
    first, second = found.gravest
    assert (first.index, first.before, first.after, first.label, first.verdict) == (0, 0, 1, 0, "broken")
    assert first.margin == pytest.approx(0.5)
    assert first.margin_after == pytest.approx(0.5)
    assert second.index in (1, 3)
    assert second.margin == pytest.approx(0.1)


def test_outputs_that_are_no_classes_differ_by_their_error() -> None:
    random = np.random.default_rng(0)
    right = random.standard_normal((4, 3, 5))
    wrong = right + np.array([1e-4, 0.5, 1e-4, 0.2])[:, None, None] * random.standard_normal((4, 3, 5))
    found = Differences(5, 20.0)
    found.add({"y": right}, {"y": wrong}, None)
    assert [item.index for item in found.gravest] == [1, 3]
    assert {item.verdict for item in found.gravest} == {"differs"}


def test_probabilities_are_left_alone() -> None:
    shares = np.array([[0.25, 0.75]])
    np.testing.assert_array_equal(probabilities(shares), shares)
    np.testing.assert_allclose(probabilities(np.array([[0.0, np.log(3.0)]])), shares)


def test_outputs_come_back(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    small, wide = random.standard_normal((5, 3)).astype(np.float32), random.standard_normal((5, 100, 60))
    with OutputWriter(tmp_path / "kept") as writer:
        writer.add({"small": small[:3], "wide": wide[:3], "text": np.array(["a"] * 3, object)})
        writer.add({"small": small[3:], "wide": wide[3:], "text": np.array(["a"] * 2, object)})
    kept = find_outputs(tmp_path / "kept")
    assert kept is not None
    assert (kept.samples, kept.index.complete) == (5, True)
    pieces = list(kept.batches(2, 5))
    assert [len(piece["small"]) for piece in pieces] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate([piece["small"] for piece in pieces]), small)
    np.testing.assert_allclose(np.concatenate([piece["wide"] for piece in pieces]), wide, atol=2e-3)
    assert sum(file.stat().st_size for file in (tmp_path / "kept").glob("*.bin")) == small.nbytes + 2 * wide.size


def test_outputs_of_a_run_that_ended_early_are_known_as_such(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), OutputWriter(tmp_path / "kept") as writer:
        writer.add({"y": np.ones((3, 2), np.float32)})
        raise KeyboardInterrupt
    kept = find_outputs(tmp_path / "kept")
    assert kept is not None
    assert (kept.samples, kept.index.complete) == (3, False)
    (tmp_path / "kept" / "0.bin").write_bytes(b"")
    assert find_outputs(tmp_path / "kept") is None


def test_picked_samples_are_read_in_order() -> None:
    picked = Picked(Samples(x=np.arange(100.0).reshape(100, 1)), [70, 3, 34, 35])
    batches = list(picked.batches(3))
    assert [batch.feeds["x"].ravel().tolist() for batch in batches] == [[3.0, 34.0, 35.0], [70.0]]
    assert [batch.samples for batch in picked.batches(8, 2)] == [2]


def test_each_sample_parts_where_its_own_error_jumps() -> None:
    tensors = [
        TensorError(
            tensor=name,
            other=name,
            node=name,
            operator="Conv",
            other_node=name,
            inputs=inputs,
            samples=2,
            sqnr_db=0,
            max_abs_error=0,
            largest=0,
            cosine=0,
        )
        for name, inputs in (("a", ()), ("b", ("a",)), ("c", ("b",)))
    ]
    found = partings(tensors, {"a": [50.0, 50.0], "b": [10.0, 49.0], "c": [8.0, 38.0]}, 2)
    assert [(item.node, item.jump) for item in found if item] == [("b", True), ("c", False)]


def test_a_whole_run(tmp_path: Path) -> None:
    proto = models.mlp()
    source = saved(proto, tmp_path / "a.onnx")
    other = saved(damaged(proto, "w2", 1.0), tmp_path / "b.onnx")
    feeds = {"image": np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32)}
    labels = run(source.path, feeds)[0].argmax(1)
    np.savez(tmp_path / "d.npz", image=feeds["image"], labels=labels)
    device = REGISTRY.get_runtime("onnxruntime").devices()[0]
    with JobPool(spare=False) as pool:
        work = Workbench(REGISTRY, pool, tmp_path / "cache")
        first, second = (Subject(name=item.path.name, artifact=item, device=device) for item in (source, other))
        found = disagreements(work, first, second, tmp_path / "d.npz", DisagreeOptions(listed=4, parted=2))
        kept = sorted(work.cache.outputs.iterdir())
        work.cache.clear()
        left = list(work.cache.outputs.iterdir())
        work.close()
    changed = (run(other.path, feeds)[0].argmax(1) != labels).nonzero()[0]
    assert (found.samples, found.differing) == (60, len(changed))
    assert found.verdicts == {"broken": len(changed)}
    assert {item.index for item in found.listed} <= set(changed.tolist())
    margins = [item.margin for item in found.listed]
    assert margins == sorted(margins, key=lambda value: -(value or 0))
    assert found.partings == {"fc2": 2}
    assert [item.parting is not None for item in found.listed] == [True, True, False, False]
    assert (len(kept), left) == (2, [])
