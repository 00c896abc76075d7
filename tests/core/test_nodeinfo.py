from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from studio.core.artifact import open_artifact
from studio.core.errors import UsageError
from studio.core.nodeinfo import BINS, describe_node, weight_info
from studio.locations import assets

SAMPLE = assets() / "samples" / "mnist-resnet.onnx"


def test_a_node_of_the_sample() -> None:
    info = describe_node(open_artifact(SAMPLE), "stem/conv")
    assert info.operator == "Conv"
    assert "convolution" in info.document
    assert info.attributes["kernel_shape"] == "3, 3"
    (weight,) = [item for item in info.weights if len(item.shape) == 4]
    assert weight.shape == (24, 1, 3, 3)
    assert weight.bytes == 24 * 9 * 4
    assert weight.low is not None and weight.high is not None and weight.low < 0 < weight.high
    assert len(weight.histogram) == BINS
    assert sum(weight.histogram) == 24 * 9
    assert len(info.inputs) == 1


def test_unknown_nodes_suggest_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        describe_node(open_artifact(SAMPLE), "stem/conw")
    assert "stem/conv" in caught.value.hint


@pytest.mark.parametrize(
    ("array", "low", "zeros"),
    [
        (np.array([0.0, 0.0, 1.0, np.nan], np.float32), 0.0, 0.5),
        (np.array([3, 3], np.int8), 3.0, 0.0),
        (np.array([True, False]), 0.0, 0.5),
    ],
)
def test_statistics_of_odd_weights(array: NDArray[Any], low: float, zeros: float) -> None:
    info = weight_info("w", ir.tensor(array))
    assert info.low == low
    assert info.zeros == pytest.approx(zeros)


def test_nothing_finite_and_nothing_at_all() -> None:
    assert weight_info("w", ir.tensor(np.array([np.nan], np.float32))).low is None
    assert weight_info("w", ir.tensor(np.zeros((0, 3), np.float32))).histogram == ()
