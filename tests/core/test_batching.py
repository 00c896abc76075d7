from __future__ import annotations

import numpy as np
import pytest

from studio.core.batching import feeds_for, fixed_batch, has_batch_axis, run_batch
from studio.core.dataset import Batch
from studio.core.errors import DataError
from studio.core.runtime import TensorInfo
from tests.core.engines import NumpyModel, eye, linear, tensor


def batch(samples: int, width: int = 3, first: int = 0) -> Batch:
    x = np.arange(samples * width, dtype=np.float32).reshape(samples, width)
    return Batch(first, {"x": x}, np.arange(samples))


@pytest.mark.parametrize(
    ("inputs", "name", "expected"),
    [
        ([tensor("x", "batch", 3, 8, 8)], "x", True),
        ([tensor("x", None, 3)], "x", True),
        ([tensor("x", 1, 3, 224, 224)], "x", True),
        ([tensor("x", 8, 3, 224, 224)], "x", True),
        ([tensor("x", 3, 224, 224)], "x", False),
        ([tensor("x", 224, 224, 3)], "x", False),
        ([tensor("x", 128)], "x", False),
        ([tensor("x")], "x", False),
        ([tensor("x", "seq", "batch", 8)], "x", False),
        ([tensor("x", "N", 4), tensor("state", 2, "N", 64)], "state", False),
        ([tensor("x", "time", "batch", 3), tensor("state", 1, "batch", 4)], "state", False),
        ([tensor("x", 8, 4), tensor("mask", 8, 9)], "mask", True),
        ([tensor("x", 8, 4), tensor("table", 5, 9)], "table", False),
        ([TensorInfo(name="x", dtype="float32", shape=None)], "x", True),
    ],
)
def test_the_batch_axis_is_found_from_shapes_and_names(inputs: list[TensorInfo], name: str, expected: bool) -> None:
    assert has_batch_axis(inputs, name) is expected


def test_the_number_of_samples_of_an_inference() -> None:
    assert fixed_batch([tensor("x", "batch", 3)]) is None
    assert fixed_batch([tensor("x", 8, 3)]) == 8
    assert fixed_batch([tensor("x", 1, 3)]) == 1
    assert fixed_batch([tensor("x", "batch", 3), tensor("rate")]) == 1


def test_a_dynamic_batch_is_one_inference() -> None:
    (feed,) = feeds_for([tensor("x", "batch", 3)], batch(5, first=10))
    assert (feed.first, feed.samples, feed.fed) == (10, 5, 5)
    assert feed.arrays["x"].shape == (5, 3)


def test_a_fixed_batch_is_filled_with_its_last_sample_and_trimmed() -> None:
    model = linear(eye(3), batch=4)
    data = batch(6)
    feeds = list(feeds_for(model.inputs, data))
    assert [(feed.first, feed.samples, feed.fed) for feed in feeds] == [(0, 4, 4), (4, 2, 4)]
    assert np.array_equal(feeds[1].arrays["x"], data.feeds["x"][[4, 5, 5, 5]])
    assert feeds[1].labels is not None
    assert feeds[1].labels.tolist() == [4, 5]
    assert np.array_equal(run_batch(model, data)["logits"], data.feeds["x"])


def test_a_model_without_a_batch_axis_takes_one_sample_at_a_time() -> None:
    model = NumpyModel(lambda x, rate: {"sum": x.sum(axis=0) * rate}, tensor("x", 4, 2), tensor("rate"))
    feeds = {"x": np.ones((3, 4, 2), np.float32), "rate": np.array([1, 2, 3], np.float32)}
    outputs = run_batch(model, Batch(0, feeds))
    assert model.fed == [{"x": (4, 2), "rate": ()}] * 3
    assert outputs["sum"].tolist() == [[4, 4], [8, 8], [12, 12]]


def test_an_input_with_a_batch_axis_keeps_it_beside_one_without() -> None:
    model = NumpyModel(lambda x, rate: {"y": x * rate}, tensor("x", "batch", 2), tensor("rate"))
    outputs = run_batch(model, Batch(0, {"x": np.ones((2, 2), np.float32), "rate": np.array([1, 5], np.float32)}))
    assert model.fed == [{"x": (1, 2), "rate": ()}] * 2
    assert outputs["y"].tolist() == [[1, 1], [5, 5]]


def test_a_fixed_batch_beside_an_input_without_one_is_filled_with_one_sample() -> None:
    model = NumpyModel(lambda x, rate: {"y": x * rate}, tensor("x", 4, 2), tensor("rate"))
    outputs = run_batch(model, Batch(0, {"x": np.ones((2, 2), np.float32), "rate": np.array([1, 5], np.float32)}))
    assert model.fed == [{"x": (4, 2), "rate": ()}] * 2
    assert outputs["y"].tolist() == [[1, 1], [5, 5]]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_floats_are_converted_to_what_a_variant_takes(dtype: str) -> None:
    (feed,) = feeds_for([tensor("x", "batch", 3, dtype=dtype)], batch(2))
    assert feed.arrays["x"].dtype.name == dtype
    assert feed.arrays["x"].astype(np.float32).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_outputs_that_belong_to_no_sample_are_refused_until_samples_are_single() -> None:
    model = NumpyModel(lambda x: {"mean": x.mean(axis=0)}, tensor("x", "batch", 3))
    with pytest.raises(DataError, match=r"'mean' of shape \[3\] cannot be divided among 5 samples"):
        run_batch(model, batch(5))
    assert run_batch(model, batch(1))["mean"].tolist() == [[0, 1, 2]]


def test_ragged_outputs_cannot_be_put_together() -> None:
    model = NumpyModel(lambda x: {"boxes": np.zeros((1, int(x[0, 0]) + 2))}, tensor("x", 1, 3))
    with pytest.raises(DataError, match="different shapes"):
        run_batch(model, batch(2))


def test_data_that_does_not_suit() -> None:
    with pytest.raises(DataError, match="no array for the input 'y'"):
        list(feeds_for([tensor("y", "batch", 3)], batch(2)))
    with pytest.raises(DataError, match=r"shape \[2, 3\], but the input has rank 4"):
        list(feeds_for([tensor("x", "batch", 1, 3, 3)], batch(2)))
