"""Rules of LSTM, GRU and RNN: a hidden state goes with its rows of all gates, in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .rules import Rule, give_up
from .tracer import Tracer, given, number

if TYPE_CHECKING:
    import onnx_ir as ir

    from .cutting import Cut
    from .elements import Ids

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FIXED = "{} meets something that keeps its size"


def recurrent(tracer: Tracer, node: ir.Node) -> None:
    """Weights are ``(directions, gates * hidden, ...)``, one gate after the other."""
    gates, hidden = GATES[node.op_type], number(node, "hidden_size", 0)
    x, w, r = (tracer.of(given(node, index)) for index in range(3))
    rows = None if w is None or len(w) != 3 else w[1]
    if x is None or w is None or r is None or len(r) != 3 or rows is None or len(rows) != gates * hidden:
        give_up(tracer, node)
        return
    reason = FIXED.format(tracer.describe(node))
    states = _states(tracer, rows, hidden)
    tracer.join(states, _gates(tracer, r[1], hidden), reason)
    tracer.join(states, r[2], reason)
    tracer.join(x[2], w[2], reason)
    _rest(tracer, node, states, hidden, reason)
    for ids in (x[0], x[1], w[0], r[0]):
        tracer.lock(ids, f"{tracer.describe(node)} runs over it")
    tracer.states.append(states)
    for index, output in enumerate(node.outputs):
        if output.name:
            tracer.set(output, [None, None, None, states] if index == 0 else [None, None, states])
    steps = tracer.volume([size for at, size in enumerate(tracer.shape(node.inputs[0]) or ()) if at != 2])
    macs = [steps * tracer.volume(tracer.shape(node.inputs[index]) or ()) for index in (1, 2)]
    tracer.count(macs[0], x[2], states)
    tracer.count(2 * macs[1], states)  # a state that goes takes its row and its column along
    first = next((output for output in node.outputs if output.name), None)
    tracer.layer(node, "maker", first, states)
    tracer.layer(node, "reader", node.inputs[0], x[2])
    tracer.fix(node, lambda cut: _fix(cut, node, states))


def _fix(cut: Cut, node: ir.Node, states: Ids) -> None:
    if not cut.keep(states).all():
        cut.set_integer(node, "hidden_size", cut.size(states))


def _rest(tracer: Tracer, node: ir.Node, states: Ids, hidden: int, reason: str) -> None:
    """Join biases, initial states and peepholes."""
    for index in (3, 5, 6, 7):
        value = given(node, index)
        axes = tracer.of(value)
        if value is None:
            continue
        if axes is None:
            tracer.lock(states, reason)
            continue
        of_gates = index in (3, 7)
        tracer.join(states, _gates(tracer, axes[-1], hidden) if of_gates else axes[-1], reason)
        for ids in axes[:-1]:
            tracer.lock(ids, f"{tracer.describe(node)} runs over it")


def _states(tracer: Tracer, rows: Ids, hidden: int) -> Ids:
    grid = rows.reshape(-1, hidden)
    tracer.elements.join_all(grid)
    first: Ids = grid[0]
    return first


def _gates(tracer: Tracer, rows: Ids | None, hidden: int) -> Ids | None:
    return None if rows is None or len(rows) % hidden else _states(tracer, rows, hidden)


RULES: dict[str, Rule] = dict.fromkeys(GATES, recurrent)
