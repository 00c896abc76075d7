"""Lifetimes, peaks and offsets of activations, by hand and by property."""

from __future__ import annotations

import numpy as np
import onnx
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from studio.core.dataflow import least_bytes, lifetimes, peak_bytes, read_dataflow
from studio.core.memoryplan import ALIGNMENT, place, plan_memory
from tests import models


def chain() -> onnx.ModelProto:
    """x [batch, 256] -> a -> b, b + a -> y; a Reshape of b in between."""
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], "first"),
        helper.make_node("Neg", ["a"], ["b"], "second"),
        helper.make_node("Reshape", ["b", "shape"], ["r"], "view"),
        helper.make_node("Add", ["r", "a"], ["y"], "third"),
    ]
    return models.model(
        nodes,
        {"x": ["batch", 256]},
        {"y": ["batch", 256]},
        {"shape": np.asarray([-1, 256], dtype=np.int64)},
    )


def test_lifetimes_and_peak_by_hand() -> None:
    flow = read_dataflow(chain(), {"batch": 2})
    assert flow.tensors == ("a", "b", "y")
    assert flow.sizes == (2048, 2048, 2048)
    assert flow.needs == ((), (0,), (1,), (2, 0))
    assert lifetimes(flow, range(4)) == [(0, 3), (1, 3), (3, 3)]
    assert peak_bytes(flow, range(4)) == least_bytes(flow) == 3 * 2048
    assert flow.assumed == {"batch": 2}


def test_a_plan_says_who_makes_and_who_reads() -> None:
    plan = plan_memory(chain())
    assert plan.assumed == {"batch": 1}
    assert (plan.arena_bytes, plan.peak_bytes, plan.total_bytes, plan.peak_node) == (3072, 3072, 3072, "third")
    first = next(tensor for tensor in plan.tensors if tensor.tensor == "a")
    assert (first.maker, first.reader, first.bytes) == ("first", "third", 1024)


def test_constants_are_no_activations() -> None:
    nodes = [
        helper.make_node("Exp", ["w"], ["e"], "folded"),
        helper.make_node("Mul", ["x", "e"], ["y"], "mul"),
    ]
    weights = {"w": np.ones(256, np.float32)}
    flow = read_dataflow(models.model(nodes, {"x": [1, 256]}, {"y": [1, 256]}, weights))
    assert flow.tensors == ("y",)


def test_a_branch_reads_what_it_takes_from_outside() -> None:
    flow = read_dataflow(models.branching())
    assert flow.reads[flow.names.index("if")] == (flow.tensors.index("m"),)


def test_unknown_sizes_are_listed() -> None:
    nodes = [helper.make_node("NonZero", ["x"], ["n"]), helper.make_node("Cast", ["n"], ["y"], to=TensorProto.FLOAT)]
    flow = read_dataflow(models.model(nodes, {"x": [4, 4]}, {"y": [2, "found"]}, {}))
    assert flow.unknown == ("n", "y")


def test_weights_listed_as_inputs_count_as_inputs_only_from_ir_version_4_on() -> None:
    graph = helper.make_graph(
        [helper.make_node("Exp", ["w"], ["e"]), helper.make_node("Mul", ["x", "e"], ["y"])],
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [8]) for name in ("x", "w")],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [8])],
        [numpy_helper.from_array(np.ones(8, np.float32), "w")],
    )
    opsets = [helper.make_opsetid("", 9)]
    assert read_dataflow(helper.make_model(graph, opset_imports=opsets, ir_version=3)).tensors == ("y",)
    assert read_dataflow(helper.make_model(graph, opset_imports=opsets, ir_version=8)).tensors == ("e", "y")


@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.integers(0, 12), st.integers(0, 6)),
        min_size=1,
        max_size=30,
    )
)
def test_buffers_that_live_at_once_do_not_overlap(buffers: list[tuple[int, int, int]]) -> None:
    sizes = [size for size, _, _ in buffers]
    lives = [(first, first + length) for _, first, length in buffers]
    offsets = place(sizes, lives)
    for one in range(len(sizes)):
        for other in range(one):
            apart = offsets[one] + sizes[one] <= offsets[other] or offsets[other] + sizes[other] <= offsets[one]
            never = lives[one][1] < lives[other][0] or lives[other][1] < lives[one][0]
            assert apart or never or not sizes[one] or not sizes[other]
    assert all(offset % ALIGNMENT == 0 for offset in offsets)
    held = max(sum(s for s, (a, b) in zip(sizes, lives, strict=True) if a <= step <= b) for step in range(20))
    assert max(o + s for o, s in zip(offsets, sizes, strict=True)) >= held
