from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from studio.core.batching import feeds_for
from studio.core.errors import DataError
from studio.core.feeds import check_feeds
from studio.core.idbounds import id_bounds
from studio.core.runtime import TensorInfo
from studio.core.synthetic import sample_shapes, synthetic_dataset
from tests.core.engines import tensor

BERT = [tensor(name, "batch", "seq", dtype="int64") for name in ("input_ids", "attention_mask")]


def column(info: TensorInfo, samples: int = 16, **hints: Any) -> NDArray[Any]:
    (batch,) = synthetic_dataset([info], samples, 1, **hints).batches(samples)
    return batch.feeds[info.name]


def test_pictures_are_uniform_in_0_to_1() -> None:
    values = column(tensor("image", "batch", 3, 32, 32))
    assert values.dtype == np.float32
    assert 0 <= values.min() < 0.01
    assert 0.99 < values.max() < 1
    assert values.mean() == pytest.approx(0.5, abs=0.02)


def test_other_floats_are_standard_normal() -> None:
    values = column(tensor("x", "batch", 1000))
    assert values.mean() == pytest.approx(0, abs=0.05)
    assert values.std() == pytest.approx(1, abs=0.05)


def test_integers_are_ids_pixels_or_masks() -> None:
    assert set(np.unique(column(tensor("input_ids", "batch", "seq", dtype="int64")))) == {0, 1}
    bounded = column(tensor("input_ids", "batch", "seq", dtype="int32"), bounds={"input_ids": 30})
    assert set(np.unique(bounded)) == set(range(30))
    assert (column(tensor("attention_mask", "batch", 8, dtype="int64")) == 1).all()
    assert column(tensor("image", "batch", 8, 8, 3, dtype="uint8")).max() > 200


@pytest.mark.parametrize(
    "dtype", ["bool", "object", "float16", "float64", "bfloat16", "int4", "uint8", "float8_e4m3fn"]
)
def test_every_type_can_be_made(dtype: str) -> None:
    values = column(tensor("x", "batch", 5, dtype=dtype))
    assert values.shape == (16, 5)
    assert values.dtype.name == dtype
    if dtype == "object":
        assert all(isinstance(text, str) and text for text in values.ravel())


def test_dynamic_dimensions_have_sensible_sizes() -> None:
    shapes = sample_shapes(
        [
            tensor("a", "batch", "sequence_length"),
            tensor("b", "batch", 3, None, None),
            tensor("c", "batch", "height", "width", 3),
            tensor("d", "batch", "anything"),
            tensor("e", "batch", 4, "past_sequence_length", 8),
            tensor("f", "batch", "past_sequence_length + sequence_length"),
            tensor("g", "batch", 0),
        ]
    )
    assert shapes == {
        "a": (128,),
        "b": (3, 224, 224),
        "c": (224, 224, 3),
        "d": (1,),
        "e": (4, 0, 8),
        "f": (128,),
        "g": (0,),
    }


def test_sizes_can_be_given() -> None:
    assert column(tensor("x", "batch", "seq"), sizes={"seq": 7}).shape == (16, 7)


def test_models_without_a_batch_axis_get_whole_samples() -> None:
    assert column(tensor("x", 3, 32, 32)).shape == (16, 3, 32, 32)
    assert column(tensor("rate", dtype="int64")).shape == (16,)


@pytest.mark.parametrize("dtype", ["complex64", "unknown"])
def test_types_that_cannot_be_generated(dtype: str) -> None:
    with pytest.raises(DataError, match=f"type {dtype} cannot be generated"):
        synthetic_dataset([tensor("x", "batch", dtype=dtype)], 1)


def test_an_unknown_rank_is_said() -> None:
    with pytest.raises(DataError, match="unknown rank"):
        synthetic_dataset([TensorInfo(name="x", dtype="float32", shape=None)], 1)


def test_it_says_that_it_is_synthetic_and_names_its_content() -> None:
    data = synthetic_dataset(BERT, 4, 1)
    assert data.synthetic
    assert not data.labelled
    assert data.samples == 4
    assert data.digest() == synthetic_dataset(BERT, 4, 1).digest()
    others = [
        synthetic_dataset(BERT, 4, 2),
        synthetic_dataset(BERT, 5, 1),
        synthetic_dataset(BERT, 4, 1, sizes={"seq": 3}),
    ]
    assert len({data.digest(), *(other.digest() for other in others)}) == 4


@given(st.integers(1, 40), st.integers(1, 50), st.one_of(st.none(), st.integers(0, 60)))
def test_samples_do_not_depend_on_the_batch_size(size: int, samples: int, limit: int | None) -> None:
    data = synthetic_dataset([tensor("x", "batch", 3), tensor("ids", "batch", 2, dtype="int64")], samples, 3)
    (whole,) = data.batches(samples)
    pieces = list(data.batches(size, limit))
    count = samples if limit is None else min(samples, limit)
    assert sum(piece.samples for piece in pieces) == count
    assert [piece.first for piece in pieces] == list(range(0, count, size))
    for name in ("x", "ids"):
        joined = [row for piece in pieces for row in piece.feeds[name]]
        assert np.array_equal(np.array(joined).reshape(-1), whole.feeds[name][:count].reshape(-1))


DIMENSIONS = st.lists(st.one_of(st.integers(0, 4), st.none(), st.sampled_from(["batch", "seq", "h", "w"])), max_size=4)


@given(st.lists(DIMENSIONS, min_size=1, max_size=3), st.sampled_from(["float32", "int64", "bool"]), st.integers(1, 5))
def test_whatever_the_shapes_the_feeds_fit_the_model(shapes: list[list[Any]], dtype: str, samples: int) -> None:
    inputs = [tensor(f"in{index}", *shape, dtype=dtype) for index, shape in enumerate(shapes)]
    seen = 0
    for batch in synthetic_dataset(inputs, samples, 0).batches(samples):
        for feed in feeds_for(inputs, batch):
            check_feeds(inputs, feed.arrays)
            seen += feed.samples
    assert seen == samples


def test_ids_are_bounded_by_the_tables_they_look_up() -> None:
    tables = {"words": (50, 4), "kinds": (2, 4), "wide": (4, 9)}
    nodes = [
        helper.make_node("Cast", ["ids"], ["ids64"], to=TensorProto.INT64),
        helper.make_node("Gather", ["words", "ids64"], ["a"]),
        helper.make_node("Gather", ["kinds", "types"], ["b"]),
        helper.make_node("Gather", ["wide", "column"], ["c"], axis=1),
        helper.make_node("Gather", ["free", "column"], ["d"], axis=0),
    ]
    ids = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch"]) for n in ("ids", "types", "column", "unused")]
    free = helper.make_tensor_value_info("free", TensorProto.FLOAT, [3, 3])
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "abcd"]
    weights = [numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in tables.items()]
    proto = helper.make_model(helper.make_graph(nodes, "g", [*ids, free], made, weights))
    assert id_bounds(ir.from_proto(proto)) == {"ids": 50, "types": 2, "column": 9}


def test_dimensions_of_one_name_have_one_size() -> None:
    inputs = [tensor("x", "time", "batch", 3), tensor("h", 1, "batch", 4)]
    assert sample_shapes(inputs) == {"x": (128, 1, 3), "h": (1, 1, 4)}
    inputs = [tensor("ids", "tokens", dtype="int64"), tensor("mask", 2, "batch", "tokens")]
    assert sample_shapes(inputs) == {"ids": (), "mask": (2, 1, 1)}
    inputs = [tensor("a", "batch", 3, "rows", "rows"), tensor("b", "batch", "rows")]
    assert sample_shapes(inputs) == {"a": (3, 224, 224), "b": (224,)}


def test_a_model_without_inputs_has_one_sample() -> None:
    data = synthetic_dataset([], 64)
    (batch,) = data.batches(8)
    assert (data.samples, batch.samples, batch.feeds) == (1, 1, {})
