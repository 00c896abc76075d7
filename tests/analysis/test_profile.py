"""Profiles of real models on the real engines: every node of the model is found again, and sums are told."""

from __future__ import annotations

import json
import math
from pathlib import Path

import onnx
import pytest

from studio.analysis.profile import profile_model, write_trace
from studio.workbench import Workbench
from tests.analysis import cases
from tests.analysis.conftest import OPTIONS, SAMPLE, Save

ENGINES = ["onnxruntime:CPU", "openvino:CPU"]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_node_of_the_sample_is_executed_by_exactly_the_kernels_that_are_named(
    engine: str, work: Workbench, subject: Save, tmp_path: Path
) -> None:
    found = profile_model(work, subject(SAMPLE, "sample", engine), OPTIONS)
    graph = onnx.load(SAMPLE).graph
    names = [node.name for node in graph.node]
    executed = [name for layer in found.layers for name in layer.nodes]
    assert set(executed) <= set(names)
    heavy = [node.name for node in graph.node if node.op_type in ("Conv", "Gemm")]
    assert sorted(name for layer in found.layers for name in layer.cores) == sorted(heavy)
    # Identity-like nodes may vanish; each normalization and activation was fused into its convolution.
    assert len(set(names) - set(executed)) <= 3
    block = next(layer for layer in found.layers if "stage1/block1/conv2" in layer.nodes)
    assert block.nodes == tuple(f"stage1/block1/{name}" for name in ("conv2", "conv2_bn", "add", "relu"))
    assert block.macs == math.prod(block.shape) * 9 * block.shape[1]
    assert block.kind == "compute"
    assert block.precision == "f32"
    assert block.layout in ("nchwc", "acdb", "aBcd8b", "aBcd16b")
    assert block.bytes > 0
    assert found.clean_ns is not None
    assert found.unexplained_ns is not None
    assert found.beside_ns is not None
    assert found.unexplained_ns == found.beside_ns - sum(layer.nanoseconds for layer in found.layers)
    write_trace([found], tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    assert sum(event["ph"] == "X" for event in trace["traceEvents"]) == len(found.layers) + 1


@pytest.mark.parametrize("engine", ENGINES)
def test_what_quantization_put_in_is_named_and_led_back_to_the_source(
    engine: str, work: Workbench, subject: Save
) -> None:
    source = subject(cases.residual(), "float")
    found = profile_model(work, subject(cases.broken(), "qdq", engine), OPTIONS, source=source.artifact)
    by_core = {layer.cores[0]: layer for layer in found.layers if layer.cores}
    assert by_core["second_float"].origins[0] == "second"
    assert by_core["second_float"].integer
    assert by_core["first"].precision == "f32"
    assert any(layer.kind == "conversion" for layer in found.layers) or "q" in by_core["first"].nodes


def test_an_inserted_kernel_says_what_it_is_there_for(work: Workbench, subject: Save) -> None:
    found = profile_model(work, subject(cases.dynamic(), "dynamic", "openvino:CPU"), OPTIONS)
    inserted = [layer for layer in found.layers if layer.inserted]
    assert inserted
    assert all(layer.kind in ("conversion", "reorder") and not layer.nodes for layer in inserted)
    assert any("conv_quant" in layer.feeds for layer in inserted)
    (convolution,) = (layer for layer in found.layers if layer.cores)
    assert convolution.stated_integer
