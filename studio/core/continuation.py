"""Measurements that continue others: more pairs of the same two models, taken later, in another random order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from studio.core.measurement import Measurement


def continued(made: Sequence[Measurement], known: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Mark measurements as continuing the latest of the same model and device, pair by pair.

    Parameters
    ----------
    made
        A baseline's measurement stands before the one that was taken in pairs with it.
    known
        What was measured before, oldest first.

    Notes
    -----
    Where nothing was measured before under the same options, a measurement stands for itself.
    """
    by_id = {item.id: item for item in (*known, *made)}
    found = {item.id: "" for item in made}
    for item in made:
        if not item.paired_with and any(other.paired_with == item.id for other in made):
            continue
        earlier = next((old for old in reversed(known) if _same(old, item, by_id)), None)
        if earlier is not None:
            found[item.id] = earlier.id
            if item.paired_with in found:
                found[item.paired_with] = earlier.paired_with
    return tuple(item.model_copy(update={"extends": found[item.id]}) for item in made)


def chain(item: Measurement, by_id: Mapping[str, Measurement]) -> tuple[Measurement, ...]:
    """Give a measurement with all that it continues, oldest first."""
    found = [item]
    while found[-1].extends in by_id and by_id[found[-1].extends] not in found:
        found.append(by_id[found[-1].extends])
    return tuple(reversed(found))


def pooled_pair(item: Measurement, by_id: Mapping[str, Measurement]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Give the samples of a baseline and of a variant over a whole chain, in nanoseconds; None without a baseline."""
    links = [(by_id[link.paired_with], link) for link in chain(item, by_id) if link.paired_with in by_id]
    if not links:
        return None
    return (
        tuple(sample for baseline, _ in links for sample in baseline.samples_ns),
        tuple(sample for _, link in links for sample in link.samples_ns),
    )


def _same(old: Measurement, new: Measurement, by_id: Mapping[str, Measurement]) -> bool:
    """Say whether two were taken alike: models, devices, options, batch and inputs."""
    if bool(old.paired_with) != bool(new.paired_with) or _way(old) != _way(new):
        return False
    first, second = by_id.get(old.paired_with), by_id.get(new.paired_with)
    return (first is None and second is None) or (
        first is not None and second is not None and _way(first) == _way(second)
    )


def _way(item: Measurement) -> tuple[object, ...]:
    return item.model_sha256, item.device.spec, item.runtime_version, item.options, item.batch, item.feeds
