"""Is a model valid? The ONNX checker's findings, each as one sentence with a remedy."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from studio.core.artifact import Artifact
from studio.core.errors import ModelError
from studio.core.modelfile import read_skeleton

if TYPE_CHECKING:
    import onnx

#: pattern in the checker's message to (what is wrong, what to do); groups fill the braces
_EXPLANATIONS: tuple[tuple[str, str, str], ...] = (
    (
        r"input '([^']*)' of node:.*?name: (\S*) .*is not output of any previous nodes",
        "The input {0!r} of node {1!r} is made by nothing before it: it is dangling, or the graph has a cycle.",
        "Export the model again; its graph is not in a runnable order.",
    ),
    (
        r"No Op registered for (\S+) with domain_version of (\d+)",
        "The operator {0!r} does not exist in opset {1}.",
        "Check its name and domain, or convert the model to an opset that has it.",
    ),
    (
        r"No opset import for domain '?([^' ]*)'?",
        "The model uses the operator domain {0!r} without importing it.",
        "Export the model again with an opset import for that domain.",
    ),
    (
        r"No schema registered for '?(\S+?)'? as",
        "The operator {0!r} is unknown.",
        "Check its name, domain and opset.",
    ),
    (
        r"must specify opset_import for ONNX",
        "The model does not say which opset it uses.",
        "Export it again with an opset import, such as opset 17.",
    ),
    (
        r"Graph output '([^']*)' is not an output of any node in graph",
        "Nothing makes the output {0!r} of the model.",
        "Name an output that a node makes, or export the model again.",
    ),
    (
        r"however '([^']*)' has been used as graph input names multiple times",
        "The model has two inputs named {0!r}.",
        "Give every input a name of its own.",
    ),
    (
        r"(\S+) initializer name is not unique",
        "The model has two weights named {0!r}.",
        "Give every weight a name of its own.",
    ),
    (
        r"Required attribute '([^']*)' is missing.*?OpType: (\w+)",
        "A node of the operator {1} lacks its attribute {0!r}.",
        "Export the model again; every {1} must have it.",
    ),
    (
        r"tensor name: ([^)]*)\) raw_data size \((\d+) bytes\) is too \w+ for .*?\((\d+) bytes required\)",
        "The weight {0!r} has {1} bytes; its type and shape need {2}.",
        "Export the model again; the file is damaged.",
    ),
    (
        r"Your model ir_version (\d+) is higher than the checker's \((\d+)\)",
        "The model has IR version {0}; this Burnish knows versions up to {1}.",
        "Update onnx, or export the model with an older one.",
    ),
)


def check_artifact(artifact: Artifact) -> tuple[str, ...]:
    """Check a model with the ONNX checker and shape inference.

    Returns
    -------
    tuple of str
        Warnings: what is odd, but what a runtime may still accept.

    Raises
    ------
    ModelError
        When the model is not valid; the message names the node, tensor or operator.
    """
    proto = read_skeleton(artifact.path)
    check_proto(proto, name=artifact.path.name)
    _run_checker(artifact, proto)
    return (*_infer(proto), *_duplicates(proto))


def check_proto(proto: onnx.ModelProto, *, name: str) -> None:
    """Find what the checker says badly or not at all: no outputs, an opset of the future, cycles.

    Raises
    ------
    ModelError
        With the first thing found.
    """
    import onnx

    if not proto.graph.output:
        raise ModelError(f"{name} has no outputs.", "Export it with the tensors you want as outputs.")
    newest = onnx.defs.onnx_opset_version()
    for entry in proto.opset_import:
        if entry.domain in ("", "ai.onnx") and entry.version > newest:
            raise ModelError(
                f"{name} has opset {entry.version}; the installed onnx knows opsets up to {newest}.",
                f"Export it with opset {newest} or lower, or update onnx.",
            )
    for kind, values in (("input", proto.graph.input), ("output", proto.graph.output)):
        for value in values:
            if value.type.WhichOneof("value") == "tensor_type" and not value.type.tensor_type.HasField("shape"):
                raise ModelError(
                    f"The {kind} {value.name!r} of {name} has no shape, not even its number of dimensions.",
                    "Export it with the shape; its dimensions may be dynamic.",
                )
    twice = _made_twice(proto.graph)
    if twice:
        raise ModelError(
            f"The tensor {twice!r} of {name} is made twice.", "Give every output of every node a name of its own."
        )
    cycle = _find_cycle(proto.graph)
    if cycle:
        raise ModelError(
            f"The graph of {name} has a cycle through node {cycle!r}.", "Export the model again without the cycle."
        )


def explain_checker(text: str) -> tuple[str, str]:
    """Turn a checker's message into one sentence of what is wrong and one of what to do."""
    flat = " ".join(text.split())
    for pattern, message, hint in _EXPLANATIONS:
        found = re.search(pattern, flat)
        if found:
            return message.format(*found.groups()), hint.format(*found.groups())
    first = flat.split(" ==> ")[0].split("Context:")[0].strip().rstrip(".")
    return f"The model is not valid: {first[:300]}.", "Export it again, or check it with the ONNX checker."


def _run_checker(artifact: Artifact, skeleton: onnx.ModelProto) -> None:
    """Run the ONNX checker; on the file itself, which it reads whole, only where weights lie beside it."""
    import onnx

    try:
        onnx.checker.check_model(str(artifact.path) if artifact.external else skeleton, full_check=False)
    except onnx.checker.ValidationError as error:
        raise ModelError(*explain_checker(str(error))) from None
    except (RuntimeError, ValueError) as error:
        raise ModelError(*explain_checker(str(error))) from None


def _infer(proto: onnx.ModelProto) -> Iterator[str]:
    """Strict shape inference disagrees with some models that runtimes accept: a warning, not an error."""
    import onnx

    try:
        onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True)
    except Exception as error:
        text = " ".join(str(error).split())
        yield f"Shape inference finds a contradiction: {text[:200]}"


def _duplicates(proto: onnx.ModelProto) -> Iterator[str]:
    names = Counter(node.name for node in proto.graph.node if node.name)
    double = [name for name, count in names.items() if count > 1]
    if double:
        yield f"{len(double)} node names are used more than once, such as {double[0]!r}."

    outputs = Counter(value.name for value in proto.graph.output)
    yield from (f"The output {name!r} is listed {count} times." for name, count in outputs.items() if count > 1)


def _made_twice(graph: onnx.GraphProto) -> str:
    """Name a tensor that two nodes make, or a node and an input; empty without one."""
    seen = {value.name for value in graph.input}
    for node in graph.node:
        for output in filter(None, node.output):
            if output in seen:
                return output
            seen.add(output)
    return ""


def _find_cycle(graph: onnx.GraphProto) -> str:
    """Name a node that lies on a cycle; empty without one (Kahn's algorithm, 1962)."""
    makers = {output: index for index, node in enumerate(graph.node) for output in node.output if output}
    needs = [{makers[name] for name in (*node.input, *captured(node)) if name in makers} for node in graph.node]
    users: dict[int, list[int]] = {}
    for index, sources in enumerate(needs):
        for source in sources:
            users.setdefault(source, []).append(index)
    waiting = [len(sources) for sources in needs]
    ready = [index for index, count in enumerate(waiting) if count == 0]
    done = 0
    while ready:
        done += 1
        for user in users.get(ready.pop(), ()):
            waiting[user] -= 1
            if waiting[user] == 0:
                ready.append(user)
    if done == len(graph.node):
        return ""
    stuck = next(index for index, count in enumerate(waiting) if count > 0)
    return graph.node[stuck].name or graph.node[stuck].op_type


def captured(node: onnx.NodeProto) -> Iterator[str]:
    """Names that a node's subgraphs take from outside."""
    for attribute in node.attribute:
        graphs = [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
        for graph in graphs:
            inner = {item.name for item in graph.input} | {item.name for item in graph.initializer}
            inner.update(output for child in graph.node for output in child.output)
            for child in graph.node:
                yield from (name for name in (*child.input, *captured(child)) if name not in inner)
