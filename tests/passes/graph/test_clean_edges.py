"""Clean-up where a graph's inputs, outputs, names and subgraphs are in the way."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from studio.api import Cancelled, PassContext, Scope, SilentReporter, node_names, open_artifact
from tests.passes.graph.harness import REGISTRY, apply, array_of, graph, node, operators, save, signature, weight

BOOL, INT64 = onnx.TensorProto.BOOL, onnx.TensorProto.INT64
X = {"x": weight(2, 3, seed=1)}


def test_an_output_made_by_identity_keeps_its_name(tmp_path: Path) -> None:
    main = graph([node("Relu", "x", "r"), node("Identity", "r", "y")], [("x", (2, 3))], [("y", (2, 3))])
    result, proto = apply("graph.clean", save(tmp_path / "m.onnx", main), X)
    assert operators(proto) == ["Relu"]
    assert proto.graph.node[0].output == ["y"]
    assert [(change.node, change.change) for change in result.changes] == [("Identity:y", "removed")]


def test_two_outputs_of_one_value_both_stay(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "a"), node("Identity", "a", "b"), node("Identity", "a", "c")]
    main = graph(nodes, [("x", (2, 3))], [("a", None), ("b", None), ("c", (2, 3))])
    _, proto = apply("graph.clean", save(tmp_path / "m.onnx", main), X)
    assert [value.name for value in proto.graph.output] == ["a", "b", "c"]


def test_an_input_that_is_an_output_through_identity_stays(tmp_path: Path) -> None:
    main = graph([node("Identity", "x", "y")], [("x", (2, 3))], [("y", None)])
    result, _ = apply("graph.clean", save(tmp_path / "m.onnx", main), X)
    assert not result.changes


def test_duplicates_that_are_both_outputs_stay(tmp_path: Path) -> None:
    main = graph([node("Relu", "x", "a"), node("Relu", "x", "b")], [("x", (2, 3))], [("a", None), ("b", None)])
    result, proto = apply("graph.clean", save(tmp_path / "m.onnx", main), X)
    assert not result.changes
    assert len(proto.graph.node) == 2


def test_a_duplicate_that_is_an_output_gives_the_other_its_name(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "a"), node("Relu", "x", "y"), node("Neg", "a", "z")]
    main = graph(nodes, [("x", (2, 3))], [("y", (2, 3)), ("z", None)])
    _, proto = apply("graph.clean", save(tmp_path / "m.onnx", main), X)
    assert operators(proto) == ["Relu", "Neg"]


def test_a_weight_that_is_an_output_stays(tmp_path: Path) -> None:
    nodes = [node("Neg", "x", "y"), node("Add", "w w", "unused")]
    main = graph(nodes, [("x", (2, 3))], [("y", None), ("w", (3,))], {"w": weight(3), "w2": weight(3)})
    _, proto = apply("graph.clean", save(tmp_path / "m.onnx", main), X)
    np.testing.assert_array_equal(array_of(proto, "w"), weight(3))


def test_an_output_that_is_constant_stays_an_output(tmp_path: Path) -> None:
    nodes = [node("Neg", "x", "y"), node("Exp", "w", "z")]
    main = graph(nodes, [("x", (2, 3))], [("y", None), ("z", (3,))], {"w": weight(3)})
    _, proto = apply("graph.clean", save(tmp_path / "m.onnx", main), X)
    assert sorted(operators(proto)) == ["Constant", "Neg"]


def test_a_weight_that_a_caller_may_replace_is_no_constant(tmp_path: Path) -> None:
    nodes = [node("Add", "x k", "a"), node("Exp", "k", "e"), node("Mul", "a e", "y")]
    main = graph(nodes, [("x", (2, 3)), ("k", (1,))], [("y", None)], {"k": np.zeros(1, np.float32)})
    path = save(tmp_path / "m.onnx", main)
    result, proto = apply("graph.clean", path, {**X, "k": weight(1)})
    assert not result.changes
    assert [value.name for value in proto.graph.input] == ["x", "k"]


def test_before_ir_version_4_weights_are_listed_as_inputs_and_yet_constants(tmp_path: Path) -> None:
    nodes = [node("Exp", "k", "e"), node("Mul", "x e", "y")]
    main = graph(nodes, [("x", (2, 3)), ("k", (3,))], [("y", None)], {"k": weight(3)})
    path = save(tmp_path / "m.onnx", main, ir_version=3, opset=11)
    _, proto = apply("graph.clean", path, X)
    assert operators(proto) == ["Mul"]
    assert [value.name for value in proto.graph.input] == ["x"]


@pytest.mark.parametrize("names", [["", "", ""], ["same", "same", "same"], ["a", "", "a"]])
def test_nodes_without_or_with_the_same_name_are_told_apart(tmp_path: Path, names: list[str]) -> None:
    nodes = [node("Relu", "x", "r"), node("Identity", "r", "i"), node("Neg", "i", "y")]
    for one, name in zip(nodes, names, strict=True):
        one.name = name
    main = graph(nodes, [("x", (2, 3))], [("y", None)])
    runnable = len(set(names)) == len(names) or not any(names)  # ONNX Runtime refuses repeated names
    result, proto = apply("graph.clean", save(tmp_path / "m.onnx", main), X if runnable else None)
    left = [one.name for one in proto.graph.node]
    assert len({*left, *[change.node for change in result.changes]}) == 3
    assert all(left)


def test_a_scope_keeps_the_rest_as_it_is(tmp_path: Path) -> None:
    nodes = [node("Identity", "x", "a", name="one"), node("Identity", "a", "b", name="two"), node("Neg", "b", "y")]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 3))], [("y", None)], {"unread": weight(5)}))
    result, proto = apply("graph.clean", path, X, Scope(names=("two",)))
    assert [change.node for change in result.changes] == ["two"]
    assert operators(proto) == ["Identity", "Neg"]
    assert len(proto.graph.initializer) == 1


def test_a_scope_by_a_repeated_name_takes_the_first_of_that_name(tmp_path: Path) -> None:
    nodes = [node("Identity", "x", "a", name="same"), node("Identity", "a", "b", name="same"), node("Neg", "b", "y")]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 3))], [("y", None)]))
    result, _ = apply("graph.clean", path, None, Scope(names=("same",)))
    assert [change.node for change in result.changes] == ["same"]


def test_nodes_are_named_as_the_rest_of_the_application_names_them(tmp_path: Path) -> None:
    nodes = [node("Identity", "x", "a"), node("Identity", "a", "b", name="Identity:a"), node("Neg", "b", "y")]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 3))], [("y", None)]))
    result, proto = apply("graph.clean", path, X)
    known = node_names(onnx.load(str(path)).graph)
    assert [change.node for change in result.changes] == known[:2]
    assert [one.name for one in proto.graph.node] == known[2:]


def test_a_scope_that_selects_nothing_changes_nothing(tmp_path: Path) -> None:
    nodes = [node("Identity", "x", "a"), node("Neg", "a", "y"), node("Neg", "a", "dead")]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 3))], [("y", None)], {"unread": weight(5)}))
    result, _ = apply("graph.clean", path, X, Scope(names=("nobody",)))
    assert result.artifact == open_artifact(path)


def branch(nodes: list[onnx.NodeProto], output: str, name: str, **weights: np.ndarray) -> onnx.GraphProto:
    return graph(nodes, [], [(output, None)], weights, name)


@pytest.mark.parametrize("value", [True, False])
def test_an_if_whose_condition_is_known_becomes_its_branch(tmp_path: Path, value: bool) -> None:
    then = branch([node("Add", "x t", "inner"), node("Neg", "inner", "out")], "out", "then", t=weight(3))
    other = branch([node("Mul", "x t2", "inner2"), node("Relu", "inner2", "out2")], "out2", "else", t2=weight(3))
    nodes = [
        node("If", "c", "q", then_branch=then, else_branch=other),
        node("Exp", "q", "y"),
    ]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 3))], [("y", None)], {"c": np.asarray(value)}))
    _, proto = apply("graph.clean", path, X)
    assert operators(proto) == (["Add", "Neg", "Exp"] if value else ["Mul", "Relu", "Exp"])


def test_a_branch_that_passes_on_an_outer_value_or_a_weight_becomes_an_output(tmp_path: Path) -> None:
    then = branch([node("Identity", "x", "o")], "o", "then")
    other = branch([node("Neg", "x", "o2")], "o2", "else")
    path = save(
        tmp_path / "m.onnx",
        graph(
            [node("If", "c", "y", then_branch=then, else_branch=other)],
            [("x", (2, 3))],
            [("y", (2, 3))],
            {"c": np.asarray(True)},
        ),
    )
    _, proto = apply("graph.clean", path, X)
    assert operators(proto) == ["Identity"]


def test_branches_of_an_unknown_condition_are_cleaned_too(tmp_path: Path) -> None:
    then = branch([node("Identity", "x", "i"), node("Add", "i z", "j"), node("Neg", "j", "out")], "out", "then")
    other = branch([node("Exp", "k", "e"), node("Add", "x e", "out2")], "out2", "else", k=weight(3))
    nodes = [node("If", "c", "y", then_branch=then, else_branch=other)]
    main = graph(nodes, [("x", (2, 3)), ("c", (), BOOL)], [("y", None)], {"z": np.float32(0)})
    path = save(tmp_path / "m.onnx", main)
    _, proto = apply("graph.clean", path, {**X, "c": np.asarray(False)})
    inner = {one.name: [n.op_type for n in one.g.node] for one in proto.graph.node[0].attribute}
    assert inner == {"then_branch": ["Neg"], "else_branch": ["Add"]}


def test_a_subgraph_may_not_give_out_an_outer_value(tmp_path: Path) -> None:
    then = branch([node("Identity", "x", "o")], "o", "then")
    other = branch([node("Neg", "x", "o2")], "o2", "else")
    nodes = [node("If", "c", "y", then_branch=then, else_branch=other)]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 3)), ("c", (), BOOL)], [("y", None)]))
    result, _ = apply("graph.clean", path, {**X, "c": np.asarray(True)})
    assert not result.changes


def test_a_loop_body_is_cleaned(tmp_path: Path) -> None:
    body = graph(
        [
            node("Identity", "keep_in", "keep"),
            node("Identity", "s", "t"),
            node("Add", "t x", "u"),
            node("Mul", "u one", "next"),
        ],
        [("i", (), INT64), ("keep_in", (), BOOL), ("s", (2, 3))],
        [("keep", (), BOOL), ("next", (2, 3))],
        {"one": np.float32(1)},
        "body",
    )
    nodes = [node("Loop", "n go x", "y", body=body)]
    weights = {"n": np.asarray(3), "go": np.asarray(True)}
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 3))], [("y", (2, 3))], weights))
    _, proto = apply("graph.clean", path, X)
    body_after = next(one.g for one in proto.graph.node[0].attribute if one.name == "body")
    assert [one.op_type for one in body_after.node] == ["Identity", "Add"]


def test_what_an_untaken_branch_read_is_dead(tmp_path: Path) -> None:
    then = branch([node("Neg", "x", "out")], "out", "then")
    other = branch([node("Add", "x big", "out2")], "out2", "else")
    nodes = [
        node("MatMul", "x w", "big"),
        node("If", "c", "y", then_branch=then, else_branch=other),
    ]
    weights = {"c": np.asarray(True), "w": weight(3, 3)}
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 3))], [("y", None)], weights))
    _, proto = apply("graph.clean", path, X)
    assert operators(proto) == ["Neg"]
    assert not proto.graph.initializer


def test_sequences_pass_unharmed(tmp_path: Path) -> None:
    nodes = [
        node("SequenceConstruct", "x x", "s"),
        node("SequenceEmpty", "", "e"),
        node("SequenceInsert", "e x", "t"),
        node("Identity", "s", "s2"),
        node("SequenceAt", "s2 i", "a"),
        node("SequenceAt", "t i", "b"),
        node("Add", "a b", "y"),
    ]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 3))], [("y", (2, 3))], {"i": np.asarray(0)}))
    _, proto = apply("graph.clean", path, X)
    assert "Identity" not in operators(proto)


def test_bodies_of_functions_are_left_alone(tmp_path: Path) -> None:
    body = [node("Identity", "a", "i"), node("Neg", "i", "b")]
    function = helper.make_function("mine", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    nodes = [node("Twice", "x", "h", domain="mine"), node("Identity", "h", "j"), node("Neg", "j", "y")]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 3))], [("y", None)]), functions=[function])
    _, proto = apply("graph.clean", path, X)
    assert operators(proto) == ["Twice", "Neg"]
    assert [one.op_type for one in proto.functions[0].node] == ["Identity", "Neg"]


@pytest.mark.parametrize("weights", [{}, {"w": weight(3)}])
def test_a_graph_without_nodes_is_nothing_to_do(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    main = graph([], [("x", (2, 3))] if not weights else [], [("w", (3,))] if weights else [], weights)
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(main, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    for pass_id in ("graph.clean", "graph.fold-batchnorm", "graph.fuse", "prune.unstructured"):
        folder = tmp_path / pass_id
        folder.mkdir()
        one = REGISTRY.find("pass", pass_id)
        result = one.apply(open_artifact(path), one.Params(), PassContext(workdir=folder))
        assert result.artifact == open_artifact(path)
        assert result.changes == ()
        assert result.warnings


class Stop(SilentReporter):
    """Asks to stop at the n-th check."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.asked = threading.Event()

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            self.asked.set()
            raise Cancelled


@pytest.mark.parametrize("after", [0, 3, 6])
def test_it_can_be_cancelled_between_steps(tmp_path: Path, after: int) -> None:
    nodes = [node("Identity", "x", "a"), node("Exp", "w", "e"), node("Mul", "a e", "y")]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 3))], [("y", None)], {"w": weight(3)}))
    one = REGISTRY.find("pass", "graph.clean")
    reporter = Stop(after)
    with pytest.raises(Cancelled):
        one.apply(open_artifact(path), one.Params(), PassContext(workdir=tmp_path, reporter=reporter))
    assert reporter.asked.is_set()


def test_the_source_is_never_written_to(tmp_path: Path) -> None:
    path = save(
        tmp_path / "m.onnx", graph([node("Identity", "x", "a"), node("Neg", "a", "y")], [("x", (2, 3))], [("y", None)])
    )
    before = path.read_bytes()
    apply("graph.clean", path, X)
    assert path.read_bytes() == before
    assert signature(onnx.load(str(path)))


def test_ten_thousand_nodes_are_surveyed_as_they_are_cleaned(tmp_path: Path) -> None:
    nodes, value = [], "x"
    for index in range(2500):
        nodes += [node("Relu", value, f"r{index}"), node("Identity", f"r{index}", f"i{index}")]
        nodes += [node("Add", f"i{index} zero", f"a{index}"), node("Neg", f"a{index}", f"n{index}")]
        value = f"n{index}"
    main = graph(nodes, [("x", ("batch", 3))], [(value, None)], {"zero": np.float32(0)})
    result, proto = apply("graph.clean", save(tmp_path / "m.onnx", main), None)
    assert len(proto.graph.node) == 5000
    assert len(result.changes) == 5000
