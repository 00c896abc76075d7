"""Groups of convolutional networks, and that silent units leave without a trace."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.channels.analysis import Analysis
from plugins.channels.group import Group

from .build import Net, check


def free(analysis: Analysis) -> dict[tuple[str, ...], Group]:
    """Give the groups that are not locked, by the names of their makers."""
    return {tuple(maker.node for maker in group.makers): group for group in analysis.groups if not group.locked}


def image(net: Net, channels: int = 3, size: int = 6) -> str:
    return net.input("x", ["N", channels, size, size])


def test_chain() -> None:
    net = Net()
    first = net.op("Relu", net.norm(net.conv(image(net), 3, 8), 8))
    second = net.op("MaxPool", net.op("Clip", net.conv(first, 8, 12), "", net.scalar(1.0)), kernel_shape=[2, 2])
    analysis, removal, _ = check(net, net.head(second, 12))
    groups = free(analysis)
    assert groups[("conv0",)].size == 8
    assert groups[("conv0",)].parameters == 3 * 9 + 1 + 4 + 12 * 9
    assert [reader.node for reader in groups[("conv0",)].readers] == ["conv3"]
    details = {change.node: change.detail for change in removal.changes}
    assert details["conv3"] == "12 -> 7 output channels, 8 -> 5 input channels"
    assert "gemm8 is an output of the model" in " ".join(analysis.warnings)


@pytest.mark.parametrize("dims", [1, 3])
def test_one_and_three_dimensions(dims: int) -> None:
    net = Net()
    x = net.input("x", ["N", 3, *[6] * dims])
    first = net.op("Relu", net.conv(x, 3, 8, dims=dims))
    assert len(free(check(net, net.head(net.conv(first, 8, 6, dims=dims), 6))[0])) == 2


def test_residual_joins_its_makers() -> None:
    net = Net()
    skip = net.op("Relu", net.conv(image(net), 3, 8))
    branch = net.conv(net.op("Relu", net.conv(skip, 8, 6)), 6, 8)
    analysis, _, _ = check(net, net.head(net.op("Add", branch, skip), 8))
    assert set(free(analysis)) == {("conv0", "conv4"), ("conv2",)}


@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_follows_its_input(multiplier: int) -> None:
    net = Net()
    first = net.op("Relu", net.conv(image(net), 3, 8))
    depthwise = net.op("Relu", net.conv(first, 8, 8 * multiplier, group=8))
    analysis, _, smaller = check(net, net.head(net.conv(depthwise, 8 * multiplier, 6, 1), 6))
    group = free(analysis)["conv0", "conv2"]
    assert group.size == 8
    assert [reader.node for reader in group.readers] == ["conv4"]
    assert sorted(np.bincount(group.readers[0].units)) == [multiplier] * 8
    node = next(node for node in smaller.graph if node.name == "conv2")
    assert node.attributes["group"].as_int() == 5


def test_grouped_convolution_keeps_its_groups_even() -> None:
    net = Net()
    first = net.op("Relu", net.conv(image(net), 3, 12))
    grouped = net.op("Relu", net.conv(first, 12, 18, group=3))
    analysis, _, smaller = check(net, net.head(grouped, 18))
    groups = free(analysis)
    assert list(groups[("conv0",)].parts) == [0] * 4 + [1] * 4 + [2] * 4
    assert list(groups[("conv2",)].parts) == [0] * 6 + [1] * 6 + [2] * 6
    node = next(node for node in smaller.graph if node.name == "conv2")
    assert node.attributes["group"].as_int() == 3


def test_concat_of_two_branches_into_a_grouped_convolution_ties_them() -> None:
    net = Net()
    x = image(net)
    both = net.op("Concat", net.conv(x, 3, 8), net.conv(x, 3, 8), axis=1)
    analysis, _, _ = check(net, net.head(net.conv(both, 16, 8, group=2), 8))
    assert free(analysis)["conv0", "conv1"].size == 8


@pytest.mark.parametrize("group", [1, 2, 8])
def test_transposed(group: int) -> None:
    net = Net()
    first = net.op("Relu", net.conv(image(net), 3, 8))
    weight = net.weight(8, 12 // group if group < 8 else 2, 2, 2)
    outputs = 12 if group < 8 else 16
    up = net.op("ConvTranspose", first, weight, net.weight(outputs), strides=[2, 2], group=group)
    analysis, _, _ = check(net, net.head(net.op("Relu", up), outputs))
    assert analysis.groups[0].locked == ""
    assert any("convtranspose2" in makers for makers in free(analysis))


def test_concat_keeps_branches_apart_and_dense_blocks_grow() -> None:
    net = Net()
    x = net.conv(image(net), 3, 8)
    for _ in range(3):
        width = 8 + 4 * sum(node.op_type == "Concat" for node in net.nodes)
        fresh = net.conv(net.op("Relu", net.norm(x, width)), width, 4)
        x = net.op("Concat", x, fresh, axis=1)
    analysis, _, _ = check(net, net.head(net.op("Relu", x), 20))
    assert [len(makers) for makers in free(analysis)] == [1, 1, 1, 1]


def test_split_halves_that_are_added_go_together() -> None:
    net = Net()
    both = net.conv(image(net), 3, 16)
    one, other = net.op("Split", both, net.ints(8, 8), outputs=2, axis=1)
    gated = net.op("Mul", one, net.op("Sigmoid", other))
    analysis, _, _ = check(net, net.head(net.conv(gated, 8, 6), 6))
    assert free(analysis)[("conv0",)].size == 8


def test_split_with_unequal_uses_gives_two_groups() -> None:
    net = Net()
    both = net.conv(image(net), 3, 16)
    one, other = net.op("Split", both, outputs=2, axis=1, num_outputs=2)
    head = net.op("Add", net.head(net.conv(one, 8, 6), 6), net.head(net.conv(other, 8, 4), 4))
    analysis, _, smaller = check(net, head)
    assert [group.size for group in analysis.groups if group.makers[0].node == "conv0"] == [8, 8]
    split = next(node for node in smaller.graph if node.op_type == "Split")
    assert "num_outputs" not in split.attributes


@pytest.mark.parametrize("opset", [9, 18])
def test_slices_of_channels(opset: int) -> None:
    net = Net(opset=opset)
    x = net.conv(image(net), 3, 12)
    if opset < 10:
        low = net.op("Slice", x, starts=[0], ends=[7], axes=[1])
        high = net.op("Slice", x, starts=[-5], ends=[2**31], axes=[1])
    else:
        low = net.op("Slice", x, net.ints(0), net.ints(7), net.ints(1))
        high = net.op("Slice", x, net.ints(-5), net.ints(2**63 - 1), net.ints(-3))
    joined = net.op("Concat", high, low, axis=1)
    check(net, net.head(net.conv(joined, 12, 6), 6))


def test_channel_shuffle() -> None:
    net = Net()
    x = net.op("Relu", net.conv(image(net), 3, 12))
    grid = net.op("Reshape", x, net.ints(0, 2, 6, 6, 6))
    mixed = net.op("Reshape", net.op("Transpose", grid, perm=[0, 2, 1, 3, 4]), net.ints(0, -1, 6, 6))
    analysis, _, _ = check(net, net.head(net.conv(mixed, 12, 12, group=2), 12))
    columns = next(group for group in analysis.groups if group.makers[0].node == "conv0" and group.size == 6)
    assert list(columns.parts) == [0, 0, 0, 1, 1, 1]
    assert list(columns.makers[0].units) == [*range(6), *range(6)]


def test_squeeze_and_excite() -> None:
    net = Net()
    x = net.op("Relu", net.conv(image(net), 3, 8))
    pooled = net.op("ReduceMean", x, net.ints(2, 3), keepdims=1)
    gate = net.op("HardSigmoid", net.conv(net.op("Relu", net.conv(pooled, 8, 4, 1)), 4, 8, 1))
    analysis, _, _ = check(net, net.head(net.conv(net.op("Mul", x, gate), 8, 6), 6))
    assert set(free(analysis)) == {("conv0", "conv5"), ("conv3",), ("conv8",)}


def test_pads_of_channels_go_with_what_they_meet() -> None:
    net = Net()
    x = net.op("Relu", net.conv(image(net), 3, 8))
    wide = net.conv(x, 8, 12)
    skip = net.op("Pad", x, net.ints(0, 2, 0, 0, 0, 2, 0, 0))
    check(net, net.head(net.op("Add", wide, skip), 12))


def test_prelu_scales_and_flatten_over_space() -> None:
    net = Net()
    x = net.op("PRelu", net.conv(image(net), 3, 8), net.weight(8, 1, 1))
    x = net.op("Mul", x, net.weight(1, 8, 1, 1))
    flat = net.op("Flatten", net.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]))
    analysis, _, _ = check(net, net.op("Gemm", flat, net.weight(5, 72), transB=1))
    assert free(analysis)[("conv0",)].size == 8


def test_resize_to_given_sizes() -> None:
    net = Net()
    x = net.op("Relu", net.conv(net.input("x", [1, 3, 6, 6]), 3, 8))
    big = net.op("Resize", x, "", "", net.ints(1, 8, 12, 12), mode="nearest")
    check(net, net.head(net.conv(big, 8, 6), 6))


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space(mode: str) -> None:
    net = Net()
    x = net.op("DepthToSpace", net.conv(image(net), 3, 16), blocksize=2, mode=mode)
    analysis, _, _ = check(net, net.head(net.conv(x, 4, 6), 6))
    assert free(analysis)[("conv0",)].size == 4


def test_space_to_depth() -> None:
    net = Net()
    x = net.op("SpaceToDepth", net.conv(image(net), 3, 8), blocksize=2)
    check(net, net.head(net.conv(x, 32, 6), 6))


def test_instance_normalization_keeps_channels_apart_and_group_normalization_locks() -> None:
    net = Net()
    x = net.op("InstanceNormalization", net.conv(image(net), 3, 8), net.weight(8), net.weight(8))
    assert ("conv0",) in free(check(net, net.head(x, 8))[0])
    net = Net(opset=21)
    x = net.op("GroupNormalization", net.conv(image(net), 3, 8), net.weight(8), net.weight(8), num_groups=2)
    analysis, _, _ = check(net, net.head(x, 8))
    assert analysis.groups[0].locked == "groupnormalization1 (GroupNormalization) normalizes over channels"


def test_layers_that_share_a_weight_go_together() -> None:
    net = Net()
    x = image(net)
    weight = net.weight(8, 3, 3, 3)
    one = net.op("Conv", x, weight, pads=[1] * 4)
    other = net.op("Conv", net.op("Neg", x), weight, pads=[1] * 4)
    head = net.op("Add", net.head(one, 8), net.head(other, 8))
    analysis, _, _ = check(net, head)
    assert set(free(analysis)) == {("conv0", "conv2")}


def test_layers_that_share_a_bias_do_not() -> None:
    net = Net()
    x, bias = image(net), net.weight(8)
    one = net.op("Conv", x, net.weight(8, 3, 1, 1), bias)
    other = net.op("Conv", x, net.weight(8, 3, 1, 1), bias)
    analysis, removal, _ = check(net, net.op("Add", net.head(one, 8), net.head(other, 8)))
    assert set(free(analysis)) == {("conv0",), ("conv1",)}
    assert removal.units == {"conv0": (8, 5), "conv1": (8, 5)}
