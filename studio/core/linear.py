"""Conv, ConvTranspose, Gemm and MatMul as what they are: a matrix applied to many rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio.core.weights import Weight

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

#: rows that are unfolded at once
ROWS = 2048
#: floats of one unfolded piece
PIECE = 1 << 23


@dataclass(frozen=True)
class Window:
    """How a convolution walks over its input; one entry a spatial axis.

    `pads` holds all begins, then all ends, as ONNX has them; `auto_pad` overrules them.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    auto_pad: str

    @property
    def cells(self) -> int:
        """Number of kernel positions."""
        return math.prod(self.kernel)


@dataclass(frozen=True)
class Linear:
    """A layer as ``y = W x`` at each position, in `groups` that share nothing.

    Rows have the layer's inputs in the order of the matrix: for Conv channel by channel, each with its kernel
    positions. A matrix is float64 of shape ``(groups, outputs, inputs)``; rows are float32 of shape ``(groups,
    rows, inputs)``.

    Attributes
    ----------
    outputs, inputs
        Of one group. ConvTranspose has one output for each output channel and kernel position: what it
        adds up afterwards is not part of the matrix.
    axis
        The axis of the activation that the weight is multiplied with.
    stored_transposed
        Whether the weight is stored as ``(inputs, outputs)``.
    left
        Whether the weight is the left operand, so that the outputs lie along the last axis but one.
    """

    operator: str
    shape: tuple[int, ...]
    groups: int
    outputs: int
    inputs: int
    axis: int
    stored_transposed: bool
    left: bool = False
    window: Window | None = None

    @classmethod
    def of(cls, weight: Weight) -> Linear | None:
        """Describe a weight's layer; None when the weight is not a matrix (a stack of matrices, say)."""
        node, shape = weight.node, weight.shape
        if node.op_type in ("Conv", "ConvTranspose"):
            return _convolution(node, shape) if len(shape) > 2 else None
        if len(shape) != 2:
            return None
        left = weight.index == 0
        flipped = bool(_integer(node, "transA" if left else "transB", 0)) if node.op_type == "Gemm" else False
        # y = x w stores (inputs, outputs); y = w x stores (outputs, inputs)
        transposed = (not left and not flipped) or (left and flipped)
        inputs, outputs = shape if transposed else shape[::-1]
        other = bool(_integer(node, "transB" if left else "transA", 0)) if node.op_type == "Gemm" else False
        axis = (-2 if left else -1) if not other else (-1 if left else -2)
        return cls(node.op_type, shape, 1, outputs, inputs, axis, transposed, left)

    def matrix(self, array: NDArray[Any]) -> NDArray[np.float64]:
        """Give a stored weight as a matrix."""
        import numpy as np

        array = array.astype(np.float64)
        if self.operator == "ConvTranspose":
            by_group = array.reshape(self.groups, self.inputs, self.outputs)
            return np.ascontiguousarray(by_group.transpose(0, 2, 1))
        if self.stored_transposed:
            return np.ascontiguousarray(array.T)[None]
        return array.reshape(self.groups, self.outputs, self.inputs)

    def stored(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """Give a matrix in the shape that the weight is stored in."""
        if self.operator == "ConvTranspose":
            return matrix.transpose(0, 2, 1).reshape(self.shape)
        return matrix[0].T if self.stored_transposed else matrix.reshape(self.shape)

    def rows(
        self, inputs: NDArray[Any], outputs: NDArray[Any] | None, most: int, random: np.random.Generator
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
        """Unfold activations into rows, in pieces of bounded memory.

        Parameters
        ----------
        inputs
            What the layer takes, first axis the samples.
        outputs
            What it (or the layer that it is compared with) gives; None when not wanted.
        most
            Rows of one sample; more positions than that are drawn at random.

        Yields
        ------
        tuple
            Rows of inputs ``(groups, n, inputs)``, and of outputs ``(groups, n, outputs)`` in the same order.
        """
        if self.window is None:
            yield from self._dense(inputs, outputs, most, random)
        elif self.operator == "ConvTranspose":
            channels_last = inputs.reshape(*inputs.shape[:2], -1).swapaxes(1, 2)
            for piece in _picked(channels_last.shape[1], most, ROWS, random):
                block = channels_last[:, piece].reshape(-1, self.groups, self.inputs)
                yield _float(block.swapaxes(0, 1)), None
        elif self._is_pointwise:
            yield from self._points(inputs, outputs, most, random)
        else:
            for index in range(len(inputs)):
                yield from self._patches(inputs[index], None if outputs is None else outputs[index], most, random)

    def positions(self, inputs: Sequence[int], outputs: Sequence[int]) -> int:
        """Count the rows of activations of these shapes, fillers and padding included."""
        if self.window is None:
            return math.prod(inputs) // self.inputs
        shape = inputs if self.operator == "ConvTranspose" else outputs
        return math.prod(shape) // shape[1]

    def _dense(
        self, inputs: NDArray[Any], outputs: NDArray[Any] | None, most: int, random: np.random.Generator
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
        import numpy as np

        flat = np.moveaxis(inputs, self.axis if inputs.ndim > 1 else -1, -1).reshape(-1, self.inputs)
        side = -2 if self.left and inputs.ndim > 1 else -1
        given = None if outputs is None else np.moveaxis(outputs, side, -1).reshape(-1, self.outputs)
        samples = inputs.shape[0] if inputs.ndim > 1 else 1
        for piece in _picked(len(flat), most * max(1, samples), ROWS, random):
            yield _float(flat[piece])[None], None if given is None else _float(given[piece])[None]

    @property
    def _is_pointwise(self) -> bool:
        """Say whether a convolution takes each position by itself, where it stands."""
        window = self.window
        if window is None or self.groups != 1 or window.cells != 1 or window.auto_pad not in ("", "NOTSET", "VALID"):
            return False
        return all(stride == 1 for stride in window.strides) and not any(window.pads)

    def _points(
        self, inputs: NDArray[Any], outputs: NDArray[Any] | None, most: int, random: np.random.Generator
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
        """Take positions of all samples at once."""
        flat = inputs.reshape(*inputs.shape[:2], -1)
        given = None if outputs is None else outputs.reshape(*outputs.shape[:2], -1)
        samples, _, places = flat.shape
        for piece in _picked(samples * places, most * samples, ROWS, random):
            sample, place = piece // places, piece % places
            yield (
                _float(flat[sample, :, place])[None],
                None if given is None else _float(given[sample, :, place])[None],
            )

    def _patches(
        self, sample: NDArray[Any], output: NDArray[Any] | None, most: int, random: np.random.Generator
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
        """Unfold one sample ``(channels, *spatial)`` (im2col)."""
        import numpy as np
        from numpy.lib.stride_tricks import sliding_window_view

        assert self.window is not None
        window, sizes = self.window, sample.shape[1:]
        begins, ends = padding(window, sizes)
        padded = np.pad(sample, ((0, 0), *zip(begins, ends, strict=True)))
        spans = tuple((k - 1) * d + 1 for k, d in zip(window.kernel, window.dilations, strict=True))
        axes = tuple(range(1, padded.ndim))
        views = sliding_window_view(padded, spans, axes)
        steps: tuple[slice, ...] = (slice(None), *(slice(None, None, stride) for stride in window.strides))
        views = views[steps + tuple(slice(None, None, dilation) for dilation in window.dilations)]
        places = views.shape[1 : 1 + len(sizes)]
        given = None if output is None else output.reshape(self.groups, self.outputs, -1)
        for piece in _picked(math.prod(places), most, max(1, PIECE // (self.inputs * self.groups)), random):
            where = np.unravel_index(piece, places)
            chosen: Any = (slice(None), *where)
            block = views[chosen].reshape(self.groups, -1, len(piece), window.cells)
            rows = _float(block.swapaxes(1, 2)).reshape(self.groups, len(piece), self.inputs)
            yield rows, None if given is None else _float(given[:, :, piece].swapaxes(1, 2))


def padding(window: Window, sizes: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Give the begins and ends by which an input of these spatial sizes is padded."""
    rank = len(window.kernel)
    if window.auto_pad in ("", "NOTSET"):
        return window.pads[:rank], window.pads[rank:]
    if window.auto_pad == "VALID":
        return (0,) * rank, (0,) * rank
    begins, ends = [], []
    for size, kernel, stride, dilation in zip(sizes, window.kernel, window.strides, window.dilations, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size)
        small = total // 2
        begins.append(total - small if window.auto_pad == "SAME_LOWER" else small)
        ends.append(small if window.auto_pad == "SAME_LOWER" else total - small)
    return tuple(begins), tuple(ends)


def _convolution(node: ir.Node, shape: tuple[int, ...]) -> Linear:
    rank, groups = len(shape) - 2, _integer(node, "group", 1)
    window = Window(
        kernel=shape[2:],
        strides=_integers(node, "strides", (1,) * rank),
        dilations=_integers(node, "dilations", (1,) * rank),
        pads=_integers(node, "pads", (0,) * 2 * rank),
        auto_pad=node.attributes["auto_pad"].as_string() if "auto_pad" in node.attributes else "NOTSET",
    )
    if node.op_type == "ConvTranspose":
        outputs, inputs = shape[1] * window.cells, shape[0] // groups
        return Linear(node.op_type, shape, groups, outputs, inputs, 1, True, window=window)
    return Linear(node.op_type, shape, groups, shape[0] // groups, shape[1] * window.cells, 1, False, window=window)


def _integer(node: ir.Node, name: str, default: int) -> int:
    return node.attributes[name].as_int() if name in node.attributes else default


def _integers(node: ir.Node, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(node.attributes[name].as_ints()) if name in node.attributes else default


def _picked(count: int, most: int, piece: int, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Give row numbers in pieces; at most `most` of them, drawn without repetition."""
    import numpy as np

    chosen = np.arange(count) if count <= most else np.sort(random.choice(count, most, replace=False))
    for start in range(0, len(chosen), piece):
        yield chosen[start : start + piece]


def _float(array: NDArray[Any]) -> NDArray[np.float32]:
    import numpy as np

    return np.ascontiguousarray(array, dtype=np.float32)
