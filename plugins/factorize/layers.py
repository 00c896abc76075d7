"""The layers to factorize, with their weights and biases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from studio.api import Linear, Scope, Site, Weight, find_weights, left_alone, observe

from .fit import np_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPERATORS = ("Conv", "Gemm", "MatMul")


@dataclass(frozen=True)
class Layer:
    """A layer that may become several.

    Attributes
    ----------
    bias_node
        The node whose input `bias_index` is, or may become, its bias: the layer itself, or an Add
        that follows a MatMul; None when it has none that can be corrected.
    """

    weight: Weight
    site: Site
    bias_node: ir.Node | None
    bias_index: int

    @property
    def name(self) -> str:
        """The name of its node."""
        return self.weight.name

    @property
    def linear(self) -> Linear:
        """Its geometry."""
        return self.site.linear

    @property
    def separate(self) -> bool:
        """Whether the bias is added by another node, after the output that is observed."""
        return self.bias_node is not None and self.bias_node is not self.weight.node

    def matrix(self) -> NDArray[Any]:
        """Read the weight: float64 of shape (outputs, inputs), a Gemm's alpha included."""
        stored = self.linear.matrix(self.weight.tensor.numpy())[0]
        return np_array(alpha(self.weight.node) * stored)

    def bias(self) -> NDArray[Any] | None:
        """Read the bias in the observed output: zeros for none, None when it is not a constant vector."""
        import numpy as np

        node = self.weight.node
        if self.separate or len(node.inputs) < 3 or node.inputs[2] is None:
            return np.zeros(self.linear.outputs)
        if self.linear.left:
            return None
        return vector(node.inputs[2], self.linear.outputs, factor=beta(node))

    def added(self) -> NDArray[Any]:
        """Read the bias that a following Add adds; zeros when there is none."""
        import numpy as np

        if self.bias_node is None or not self.separate:
            return np.zeros(self.linear.outputs)
        found = vector(self.bias_node.inputs[self.bias_index], self.linear.outputs)
        assert found is not None
        return found


def find_layers(model: ir.Model, scope: Scope, least: int, convolutions: bool) -> tuple[list[Layer], tuple[str, ...]]:
    """List the layers to factorize, in topological order, and warnings about those left alone."""
    operators = OPERATORS if convolutions else OPERATORS[1:]
    weights, warnings = find_weights(model, scope, least, operators)
    sites, refused = observe(weights, outputs=True)
    by_name = {weight.name: weight for weight in weights}
    layers = []
    for site in sites:
        if site.linear.groups > 1:
            refused["it is a grouped or depthwise convolution, which has little rank to lose"].append(site.key)
        else:
            weight = by_name[site.key]
            layers.append(Layer(weight, site, *_bias_of(weight, site.linear)))
    return layers, (*warnings, *left_alone(refused))


def vector(value: ir.Value | None, size: int, factor: float = 1.0) -> NDArray[Any] | None:
    """Give a constant that adds one number to each output; None when it is anything else."""
    import numpy as np

    if value is None or value.const_value is None or value.is_graph_input():
        return None
    shape = tuple(int(str(length)) for length in value.const_value.shape)
    if not shape or shape[-1] != size or any(length != 1 for length in shape[:-1]):
        return None
    return factor * np.asarray(value.const_value.numpy(), dtype=np.float64).reshape(-1)


def alpha(node: ir.Node) -> float:
    """Give a Gemm's factor of the product; 1 for other operators."""
    return node.attributes["alpha"].as_float() if "alpha" in node.attributes else 1.0


def beta(node: ir.Node) -> float:
    """Give a Gemm's factor of the bias; 1 for other operators."""
    return node.attributes["beta"].as_float() if "beta" in node.attributes else 1.0


def _bias_of(weight: Weight, linear: Linear) -> tuple[ir.Node | None, int]:
    node = weight.node
    if linear.left:
        return None, 0
    if node.op_type != "MatMul":
        given = node.inputs[2] if len(node.inputs) > 2 else None
        return (node, 2) if given is None or vector(given, linear.outputs) is not None else (None, 0)
    output = node.outputs[0]
    uses = output.uses()
    if len(uses) != 1 or output.is_graph_output():
        return None, 0
    user, index = next(iter(uses))
    other = user.inputs[1 - index] if user.op_type == "Add" and user.domain in ("", "ai.onnx") else None
    return (user, 1 - index) if vector(other, linear.outputs) is not None else (None, 0)
