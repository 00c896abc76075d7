"""The same samples through two models whose inputs are stated in other shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.core.dataset import Batch
from studio.core.errors import VerificationError
from studio.core.pairing import Pairing, narrowest
from studio.core.runtime import Dimension
from studio.core.synthetic import synthetic_dataset
from tests.core.engines import NumpyModel, eye, linear, tensor


def batch(samples: int, *shape: int) -> Batch:
    return Batch(0, {"x": np.arange(samples * int(np.prod(shape)), dtype=np.float32).reshape(samples, *shape)})


def test_a_result_that_fixes_a_dimension_and_its_source_take_the_same_arrays() -> None:
    def softmax(x: NDArray[Any]) -> dict[str, NDArray[Any]]:
        return {"y": x / x.sum(axis=0)}  # mixes rows: another number of them would give other values

    before, after = NumpyModel(softmax, tensor("x", "seq", 2)), NumpyModel(softmax, tensor("x", 6, 2))
    pairing = Pairing(before, after)
    pairs = list(pairing.runs(batch(pairing.batch, 2)))
    assert pairing.batch == 6
    assert before.fed == after.fed == [{"x": (6, 2)}]
    np.testing.assert_array_equal(pairs[0].source["y"], pairs[0].result["y"])


def test_a_freed_batch_is_also_run_at_once_and_compared_by_sample() -> None:
    before, after = linear(eye(3), 1), linear(eye(3), "n")
    pairs = list(Pairing(before, after).runs(batch(5, 3)))
    assert before.fed == [{"x": (1, 3)}] * 10
    assert after.fed == [*[{"x": (1, 3)}] * 5, {"x": (5, 3)}]
    assert [pair.samples for pair in pairs] == [1, 1, 1, 1, 1, 5]
    np.testing.assert_array_equal(pairs[-1].source["logits"], pairs[-1].result["logits"])


def test_a_freed_batch_that_mixes_samples_is_seen() -> None:
    before = linear(eye(3), 1)
    after = NumpyModel(lambda x: {"logits": x - x.mean(axis=0) + x[:1] * (len(x) == 1)}, tensor("x", "n", 3))
    *_, last = Pairing(before, after).runs(batch(4, 3))
    assert not np.allclose(last.source["logits"], last.result["logits"])


def test_two_fixed_batches_are_compared_by_sample() -> None:
    before, after = linear(eye(3), 2), linear(eye(3), 4)
    (pair,) = Pairing(before, after).runs(batch(6, 3))
    assert [fed["x"] for fed in before.fed] == [(2, 3)] * 4  # the last once more, for whole batches of 4
    assert [fed["x"] for fed in after.fed] == [(4, 3)] * 2
    np.testing.assert_array_equal(pair.source["logits"], pair.result["logits"])
    assert Pairing(before, after).first(batch(6, 3)) is None


def test_a_part_takes_the_sources_inner_tensors() -> None:
    whole = NumpyModel(lambda x: {"inner": x + 1, "y": (x + 1) * 2, "other": x}, tensor("x", "n", 3))
    part = NumpyModel(lambda inner: {"y": inner * 2}, tensor("inner", "n", 3))
    (pair,) = Pairing(whole, part).runs(batch(4, 3))
    np.testing.assert_array_equal(part.fed[0]["inner"], (4, 3))
    assert set(pair.source) == {"y"}
    np.testing.assert_array_equal(pair.source["y"], pair.result["y"])


def test_a_part_of_another_model_cannot_be_compared() -> None:
    stranger = NumpyModel(lambda z: {"y": z}, tensor("z", "n", 3))
    with pytest.raises(VerificationError, match="'z'"):
        list(Pairing(linear(eye(3)), stranger).runs(batch(4, 3)))


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (("n", 3), (4, 3), (4, 3)),
        ((4, None), ("n", "m"), (4, None)),
        ((4, 3), (5, 3), None),
        ((4,), (4, 1), None),
    ],
)
def test_the_narrowest(one: tuple[Dimension, ...], other: tuple[Dimension, ...], both: Any) -> None:
    found = narrowest(tensor("x", *one), tensor("x", *other))
    assert (None if found is None else found.shape) == both


def test_generated_data_is_generated_in_the_sizes_of_the_result() -> None:
    data = synthetic_dataset([tensor("x", "n", "seq")], 4, 1)
    fitted = data.fitted([tensor("x", "n", 7), tensor("else", 3)])
    assert next(iter(data.batches(2))).feeds["x"].shape == (2, 128)
    assert next(iter(fitted.batches(2))).feeds["x"].shape == (2, 7)
    assert fitted.digest() != data.digest()
