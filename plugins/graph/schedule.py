"""Orders of execution that hold little memory at once.

A search over the sets of nodes that have run, in the manner of the dynamic programming of Ahn et al. 2020
("Ordering Chaos: Memory-Aware Scheduling of Irregularly Wired Neural Networks for Edge Devices", MLSys): for
each set only the order with the lowest peak is kept. Sets whose peak is no better than an order that is known
are dropped, and a node that frees at least what it takes runs at once. Where the sets become too many, the
best of them go on (a beam), and the result is no longer known to be the best.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from studio.api import Dataflow, least_bytes, peak_bytes

#: sets of nodes that are extended in all
WORK = 20_000
#: sets of one number of nodes that go on, at least and at most
NARROWEST, WIDEST = 2, 4000
#: buffers below this share of the peak do not count in the search
NEGLIGIBLE = 1e-3
#: nodes that are tried next from one set
CHOICES = 24


@dataclass(frozen=True)
class Schedule:
    """An order of execution.

    Attributes
    ----------
    order
        Numbers of the nodes.
    before, after
        Peak bytes of the order of the file and of this one.
    bound
        Bytes that no order can go below; the peak itself where no order has a lower one.
    """

    order: tuple[int, ...]
    before: int
    after: int
    bound: int


class _State:
    """Nodes that have run, what they hold, and what can run next; linked to the state before."""

    __slots__ = ("count", "done", "held", "last", "peak", "ran", "ready")

    def __init__(
        self, done: int, count: int, held: int, peak: int, ready: frozenset[int], last: _State | None, ran: int
    ) -> None:
        self.done = done
        self.count = count
        self.held = held
        self.peak = peak
        self.ready = ready
        self.last = last
        self.ran = ran


def schedule(flow: Dataflow, check: Callable[[], None], work: int = WORK) -> Schedule:
    """Look for an order with a low peak; the file's own where none is lower.

    Parameters
    ----------
    check
        Called now and then; raises to stop.
    work
        How many sets of nodes to extend.
    """
    own = tuple(range(len(flow.names)))
    before, bound = peak_bytes(flow, own), least_bytes(flow)
    small = before * NEGLIGIBLE
    coarse = replace(flow, sizes=tuple(size if size >= small else 0 for size in flow.sizes))
    order, full = own, max(NARROWEST, min(WIDEST, work // max(1, len(own))))
    for part, width in ((coarse, 1), (coarse, full), (flow, full)):
        limit = peak_bytes(part, order)
        if limit <= least_bytes(part) or (part is flow and limit == bound):
            continue
        search = _Search(part, limit, width)
        order = search.run(check) or order
        if search.whole:  # what the coarse one leaves out can only add to it
            bound = max(bound, peak_bytes(part, order))
    after = min(before, peak_bytes(flow, order))
    return Schedule(order if after < before else own, before, after, min(bound, after))


class _Search:
    def __init__(self, flow: Dataflow, limit: int, width: int) -> None:
        self.whole = True
        self._flow = flow
        self._limit = limit
        self._width = width
        nodes = len(flow.names)
        self._needs = [sum(1 << need for need in needs) for needs in flow.needs]
        self._users: list[list[int]] = [[] for _ in range(nodes)]
        self._readers = [0] * len(flow.sizes)
        for node, (needs, reads) in enumerate(zip(flow.needs, flow.reads, strict=True)):
            for need in needs:
                self._users[need].append(node)
            for buffer in reads:
                self._readers[buffer] |= 1 << node
        self._made = [sum(flow.sizes[buffer] for buffer in made) for made in flow.makes]

    def run(self, check: Callable[[], None]) -> tuple[int, ...] | None:
        """Give the best order found that is below the limit; None without one."""
        total = len(self._flow.names)
        ready = frozenset(node for node, needs in enumerate(self._needs) if not needs)
        levels: list[dict[int, _State]] = [{} for _ in range(total + 1)]
        self._add(levels, self._settle(_State(0, 0, 0, 0, ready, None, -1)))
        for count in range(total):
            states, levels[count] = self._narrow(levels[count]), {}
            if states:
                check()
            for state in states:
                for node in self._choices(state):
                    self._add(levels, self._settle(self._step(state, node)))
        final = next(iter(levels[total].values()), None)
        return None if final is None else _order(final)

    def _add(self, levels: list[dict[int, _State]], state: _State) -> None:
        if state.peak >= self._limit:
            return
        other = levels[state.count].get(state.done)
        if other is None or state.peak < other.peak:
            levels[state.count][state.done] = state

    def _narrow(self, level: dict[int, _State]) -> list[_State]:
        states = list(level.values())
        if len(states) <= self._width:
            return states
        self.whole = False
        return sorted(states, key=lambda state: (state.peak, state.held))[: self._width]

    def _choices(self, state: _State) -> list[int]:
        if len(state.ready) <= CHOICES:
            return list(state.ready)
        self.whole = False
        gains = {node: self._made[node] - self._frees(node, state.done) for node in state.ready}
        return sorted(state.ready, key=lambda node: (gains[node], self._made[node], node))[:CHOICES]

    def _settle(self, state: _State) -> _State:
        """Run at once each node that frees at least what it takes and does not raise the peak."""
        while state.peak < self._limit:
            node = next((node for node in state.ready if self._harmless(node, state)), None)
            if node is None:
                break
            state = self._step(state, node)
        return state

    def _harmless(self, node: int, state: _State) -> bool:
        made = self._made[node]
        return state.held + made <= state.peak and made <= self._frees(node, state.done)

    def _frees(self, node: int, done: int) -> int:
        """Give the bytes that go when a node has run: what it alone still reads, or makes for nobody."""
        flow, after = self._flow, done | 1 << node
        buffers = (*flow.reads[node], *flow.makes[node])
        gone = (b for b in buffers if b not in flow.kept and not self._readers[b] & ~after)
        return sum(flow.sizes[buffer] for buffer in gone)

    def _step(self, state: _State, node: int) -> _State:
        done = state.done | 1 << node
        held = state.held + self._made[node]
        fresh = [user for user in self._users[node] if not self._needs[user] & ~done]
        ready = (state.ready - {node}).union(fresh)
        peak = max(state.peak, held)
        return _State(done, state.count + 1, held - self._frees(node, state.done), peak, ready, state, node)


def _order(state: _State | None) -> tuple[int, ...]:
    nodes = []
    while state is not None and state.ran >= 0:
        nodes.append(state.ran)
        state = state.last
    return tuple(reversed(nodes))
