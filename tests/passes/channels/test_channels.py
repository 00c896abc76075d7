"""Pruning of channels and heads: what goes, how the rest makes up for it, targets, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from studio.api import DataError, Scope, Step, open_artifact, read_model
from tests.passes.calibrated import CPU, Samples, apply, error
from tests.passes.channels.build import Net
from tests.passes.channels.test_attention import DEPTH, HEADS, WIDTH, attend, split_heads, tokens
from tests.passes.graph.harness import REGISTRY, ROOT, graph, node, run, save, survey, weight

PASS = "prune.channels"
SAMPLE = ROOT / "assets" / "samples" / "mnist-resnet.onnx"


def chain(path: Path, width: int = 32, redundant: int = 0) -> Path:
    """Conv, Relu, depthwise Conv, Relu, 1x1 Conv, twice with a skip; the last `redundant` channels are copies."""
    arrays: dict[str, NDArray[np.float32]] = {}
    nodes = []
    for index in range(2):
        before, after = ("x", "m") if not index else ("m", "y")
        expand, deep = weight(width, 8, 1, 1, seed=10 * index), weight(width, 1, 3, 3, seed=10 * index + 1)
        shift = weight(width, seed=10 * index + 2)
        for copy in range(redundant):
            for array in (expand, deep, shift):
                array[width - 1 - copy] = array[copy]
        arrays |= {f"a{index}": expand, f"d{index}": deep, f"s{index}": shift}
        arrays[f"b{index}"] = weight(8, width, 1, 1, seed=10 * index + 3) * np.float32(0.2)
        nodes += [
            node("Conv", f"{before} a{index} s{index}", f"e{index}", name=f"expand{index}"),
            node("Relu", f"e{index}", f"r{index}", name=f"relu{index}"),
            node("Conv", f"r{index} d{index}", f"q{index}", name=f"deep{index}", group=width, pads=[1, 1, 1, 1]),
            node("Relu", f"q{index}", f"t{index}", name=f"again{index}"),
            node("Conv", f"t{index} b{index}", f"p{index}", name=f"project{index}"),
            node("Add", f"{before} p{index}", after, name=f"add{index}"),
        ]
    return save(path / "m.onnx", graph(nodes, [("x", ("batch", 8, 6, 6))], [("y", None)], arrays))


def images(count: int = 64, seed: int = 5) -> NDArray[np.float32]:
    return weight(count, 8, 6, 6, seed=seed)


def sizes(proto: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    return {one.name: tuple(one.dims) for one in proto.graph.initializer}


def test_copies_go_without_a_trace(tmp_path: Path) -> None:
    path = chain(tmp_path, redundant=8)
    result, proto = apply(PASS, path, Samples(x=images()), target="ratio", ratio=0.25, ranking="local", ridge=1e-7)
    assert sizes(proto)["a0"] == (24, 8, 1, 1)
    assert sizes(proto)["d1"] == (24, 1, 3, 3)
    assert sizes(proto)["b1"] == (8, 24, 1, 1)
    assert error(path, result, {"x": images(8, seed=9)}) < 1e-6
    assert result.notes["units_removed"] == 16
    assert {change.node for change in result.changes} >= {"expand0", "deep0", "project0"}


def test_second_order_and_reconstruction_each_help(tmp_path: Path) -> None:
    path, unseen = chain(tmp_path), {"x": images(16, seed=9)}
    data = Samples(x=images())

    def lost(**params: Any) -> float:
        return error(path, apply(PASS, path, data, target="ratio", ratio=0.5, ranking="local", **params)[0], unseen)

    best = lost()
    assert best < 0.7 * lost(criterion="l2")
    assert best < 0.8 * lost(reconstruct=False)
    assert lost(criterion="activation") < lost(criterion="activation", reconstruct=False)


@pytest.mark.parametrize("criterion", ["l1", "l2", "batchnorm-scale", "geometric-median", "activation"])
def test_every_criterion_prunes(tmp_path: Path, criterion: str) -> None:
    path = chain(tmp_path, redundant=8)
    _, proto = apply(PASS, path, Samples(x=images(16)), target="ratio", ratio=0.25, criterion=criterion)
    assert sum(sizes(proto)[name][0] for name in ("a0", "a1")) == 48


@pytest.mark.parametrize("target", ["macs", "parameters", "latency"])
def test_targets_are_met(tmp_path: Path, target: str) -> None:
    path = chain(tmp_path)
    result, _ = apply(PASS, path, Samples(x=images(24)), target=target, ratio=0.3, multiple=1)
    share = result.notes["cost_share"]
    assert isinstance(share, float)
    assert 0.62 < share <= 0.7001


def test_the_floor_holds_on_what_is_held_out(tmp_path: Path) -> None:
    path = chain(tmp_path)
    result, _ = apply(PASS, path, Samples(x=images()), target="accuracy", floor=0.98, multiple=4)
    cosine = result.notes["held_out_cosine"]
    assert isinstance(cosine, float)
    assert cosine >= 0.98
    assert 0.2 < float(result.notes["cost_share"]) < 0.95
    assert len(str(result.notes["curve"]).split(";")) >= 1


def test_a_time_limit_gives_the_best_so_far(tmp_path: Path) -> None:
    path = chain(tmp_path)
    result, _ = apply(PASS, path, Samples(x=images(16)), ratio=0.5, rounds=4, seconds=1e-6)
    assert any("best so far" in warning for warning in result.warnings)
    assert 0.7 < float(result.notes["cost_share"]) < 0.9


def test_ratios_of_nought_and_one(tmp_path: Path) -> None:
    path, data = chain(tmp_path), Samples(x=images(16))
    result, _ = apply(PASS, path, data, ratio=0)
    assert result.artifact.sha256 == open_artifact(path).sha256
    assert result.warnings
    result, proto = apply(PASS, path, data, ratio=1, most=1)
    assert sizes(proto)["a0"][0] == 8
    assert any("could not be reached" in warning for warning in result.warnings)
    assert apply(PASS, path, data, target="ratio", ranking="local", ratio=1)[0].warnings


def test_the_same_seed_gives_the_same_model(tmp_path: Path) -> None:
    path, data = chain(tmp_path), Samples(x=images(24))
    first, second = (apply(PASS, path, data, ratio=0.4)[0].artifact.sha256 for _ in range(2))
    assert first == second


def test_nothing_prunable_is_said(tmp_path: Path) -> None:
    nodes = [node("Conv", "x k", "h", name="conv"), node("Softmax", "h", "y", name="soft", axis=1)]
    kernel = {"k": weight(16, 4, 1, 1)}
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", ("batch", 4, 4, 4))], [("y", None)], kernel))
    result, _ = apply(PASS, path, Samples(x=weight(8, 4, 4, 4)), ratio=0.5)
    assert result.artifact.sha256 == open_artifact(path).sha256
    assert "nothing to take out" in result.warnings[0]
    assert len(result.warnings) > 1
    assert not survey(PASS, path).applies


def test_bad_data_is_refused(tmp_path: Path) -> None:
    path = chain(tmp_path)
    bad = images(8)
    bad[3, 2, 1, 1] = np.nan
    with pytest.raises(DataError, match="NaN"):
        apply(PASS, path, Samples(x=bad), ratio=0.3)
    with pytest.raises(DataError, match="no sample"):
        apply(PASS, path, Samples(x=images(0)), ratio=0.3)


def test_few_samples_and_generated_ones_are_warned_of(tmp_path: Path) -> None:
    path = chain(tmp_path, width=64)
    result, _ = apply(PASS, path, Samples(synthetic=True, x=images(1)), ratio=0.3)
    assert any("fewer rows" in warning for warning in result.warnings)
    assert any("generated inputs" in warning for warning in result.warnings)
    assert error(path, result, {"x": images(8, seed=9)}) < 1


def test_the_scope_is_honoured(tmp_path: Path) -> None:
    path = chain(tmp_path)
    scope = Scope(names=("expand0", "deep0", "project0"))
    _, proto = apply(PASS, path, Samples(x=images(16)), scope=scope, ratio=0.3)
    assert sizes(proto)["a0"][0] < 32
    assert sizes(proto)["a1"][0] == 32


def test_what_a_survey_says(tmp_path: Path) -> None:
    one = REGISTRY.find("pass", PASS)
    found = one.survey(read_model(open_artifact(chain(tmp_path))), one.Params(), CPU, Scope())
    assert found.applies
    assert found.summary.startswith("2 groups of channels")
    assert set(found.nodes) >= {"expand0", "deep0", "project0"}
    assert found.speed is not None
    assert found.speed.high > 1.2


def test_quantized_models_are_refused() -> None:
    one = REGISTRY.find("pass", PASS)
    assert "prune first" in one.refuses((Step(pass_id="quantize.static"),))
    assert not one.refuses((Step(pass_id="quantize.float16"),))


def test_the_sample_keeps_its_answers_with_half_the_neurons_of_two_blocks(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(SAMPLE.read_bytes())
    with np.load(SAMPLE.parent / "mnist-calibration.npz") as data:
        calibration = Samples(image=data["image"][:48])
    with np.load(SAMPLE.parent / "mnist-eval.npz") as data:
        unseen, labels = data["image"][:200], data["labels"][:200]
    nodes = [one.name for one in onnx.load(path).graph.node if one.op_type == "Conv"]
    layers = [name for name in nodes if name.startswith(("stage4/block2/", "stage4/block3/"))]
    result, _ = apply(PASS, path, calibration, scope=Scope(names=tuple(layers)), target="ratio", ratio=0.5)
    assert result.notes["units_removed"] == 768
    right = (run(path, {"image": unseen})[0].argmax(-1) == labels).mean()
    found = (run(result.artifact.path, {"image": unseen})[0].argmax(-1) == labels).mean()
    assert found >= right - 0.01
    assert result.artifact.bytes < 0.9 * open_artifact(path).bytes
    assert read_model(result.artifact).graph


def test_states_of_recurrent_layers_go(tmp_path: Path) -> None:
    hidden, copies = 16, 4
    gates = [
        weight(1, 4, hidden, 6),
        weight(1, 4, hidden, hidden, seed=1) * np.float32(0.3),
        weight(1, 8, hidden, seed=2),
    ]
    for array in gates:
        array[:, :, hidden - copies :] = array[:, :, :copies]
    w, r, b = (array.reshape(1, array.shape[1] * hidden, -1) for array in gates)
    arrays = {"w": w, "r": r, "b": b.reshape(1, -1), "k": weight(hidden, 3, seed=3), "a": np.array([1], dtype=np.int64)}
    nodes = [
        node("LSTM", "x w r b", "h", name="lstm", hidden_size=hidden),
        node("Squeeze", "h a", "s", name="squeeze"),
        node("MatMul", "s k", "y", name="head"),
    ]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (5, "batch", 6))], [("y", None)], arrays))
    sequences = np.stack([weight(5, 6, seed=seed)[:, None] for seed in range(20)])
    result, proto = apply(PASS, path, Samples(x=sequences), target="ratio", ratio=0.25, multiple=4, ridge=1e-6)
    assert sizes(proto)["r"] == (1, 4 * 12, 12)
    assert sizes(proto)["k"] == (12, 3)
    assert error(path, result, {"x": sequences[3]}) < 1e-3
    assert any(change.node == "lstm" for change in result.changes)


def test_heads_go_whole(tmp_path: Path) -> None:
    net = Net()
    x = tokens(net)
    q, k, v = (split_heads(net, net.linear(x, WIDTH, HEADS * DEPTH), HEADS, compute=True) for _ in range(3))
    out = net.linear(attend(net, q, k, v, width=HEADS * DEPTH), HEADS * DEPTH, WIDTH)
    model = net.model(net.op("Add", out, x))
    path = tmp_path / "m.onnx"
    ir.save(model, path)
    data, unseen = weight(64, 5, WIDTH), {"x": weight(16, 5, WIDTH, seed=9)}
    errors = []
    for reconstruct in (True, False):
        result, proto = apply("prune.heads", path, Samples(x=data), ratio=0.5, reconstruct=reconstruct)
        assert result.notes["units_removed"] == HEADS // 2
        assert (WIDTH, HEADS * DEPTH // 2) in sizes(proto).values()
        errors.append(error(path, result, unseen))
    assert errors[0] < 0.8 * errors[1]


def test_activations_are_kept_on_disk_beyond_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    path, data = chain(tmp_path), Samples(x=images(40))
    inside, _ = apply(PASS, path, data, ratio=0.3)
    module = next(one for name, one in sys.modules.items() if name.endswith("channels.walking"))
    monkeypatch.setattr(module, "IN_MEMORY", 0)
    outside, _ = apply(PASS, path, data, ratio=0.3)
    assert outside.artifact.sha256 == inside.artifact.sha256
