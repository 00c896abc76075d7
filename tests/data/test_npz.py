from __future__ import annotations

import resource
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.core.errors import DataError
from studio.core.runtime import TensorInfo
from tests.core.engines import tensor
from tests.data.readers import IDS, IMAGE, images, opened, read

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.npz"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_arrays_are_read_in_pieces(path: Path, save: Any, size: int) -> None:
    save(path, image=images(), labels=np.arange(7, dtype=np.uint8))
    data = opened(path)
    assert (data.name, data.samples, data.labelled, data.synthetic) == ("data.npz", 7, True, False)
    found = read(data, size)
    assert np.array_equal(found["image"], images())
    assert found["image"].dtype == np.float32
    assert found["image"].flags.writeable
    assert found["labels"].tolist() == list(range(7))
    assert found["labels"].dtype == np.int64
    assert len(read(data, size, limit=4)["image"]) == 4


def test_several_inputs_and_more_arrays_than_needed(path: Path) -> None:
    np.savez(path, image=images(), ids=np.ones((7, 5), np.int64), other=np.zeros(3))
    found = read(opened(path, IMAGE, IDS))
    assert set(found) == {"image", "ids"}


def test_one_input_takes_the_only_array_whatever_its_name(path: Path) -> None:
    np.savez(path, arr_0=images(), labels=np.zeros(7, int))
    assert set(read(opened(path))) == {"image", "labels"}


def test_an_input_may_be_called_labels(path: Path) -> None:
    np.savez(path, labels=images())
    data = opened(path, IMAGE.model_copy(update={"name": "labels"}))
    assert not data.labelled
    assert read(data)["labels"].shape == (7, 1, 4, 4)


def test_models_without_a_batch_axis(path: Path) -> None:
    np.savez(path, x=np.zeros((5, 4, 4), np.float32), rate=np.arange(5.0))
    found = read(opened(path, tensor("x", 4, 4), tensor("rate")))
    assert {name: array.shape for name, array in found.items()} == {"x": (5, 4, 4), "rate": (5,)}


@pytest.mark.parametrize(
    ("stored", "wanted", "note"),
    [
        ("float64", "float32", ""),
        ("float16", "float32", ""),
        ("float32", "bfloat16", ""),
        (">f4", "float32", ""),
        ("uint8", "float32", "'image' in data.npz is uint8 and is converted to float32 without scaling."),
        ("bool", "float32", "'image' in data.npz is bool and is converted to float32 without scaling."),
        ("int64", "int32", "'image' in data.npz is int64 and is converted to int32 without scaling."),
    ],
)
def test_types_are_converted_where_the_meaning_stays(path: Path, stored: str, wanted: str, note: str) -> None:
    np.savez(path, image=images(2, stored))
    data = opened(path, IMAGE.model_copy(update={"dtype": wanted}))
    found = read(data)["image"]
    assert found.dtype.name == wanted
    assert found.astype(np.float64).tolist() == images(2, stored).astype(np.float64).tolist()
    assert data.notes == ((note,) if note else ())


def test_raw_small_floats_are_taken_as_what_the_input_wants(path: Path) -> None:
    import ml_dtypes

    np.savez(path, image=images(2, ml_dtypes.bfloat16).view("V2"))
    found = read(opened(path, IMAGE.model_copy(update={"dtype": "bfloat16"})))["image"]
    assert found.astype(np.float32).tolist() == images(2).tolist()


def test_texts(path: Path) -> None:
    np.savez(path, text=np.array([["a"], ["bc"]]))
    found = read(opened(path, tensor("text", "batch", 1, dtype="object")))["text"]
    assert found.tolist() == [["a"], ["bc"]]
    assert found.dtype == object


REFUSED: dict[str, tuple[dict[str, NDArray[Any]], tuple[TensorInfo, ...], str]] = {
    "name": (
        {"imagee": images(), "other": images()},
        (IMAGE,),
        r"data\.npz has no array for the input 'image'; its arrays are: imagee, other\. Did you mean 'imagee'\?",
    ),
    "none": ({"labels": np.zeros(3, int)}, (IMAGE,), r"its arrays are: none\. Save an array named 'image'"),
    "rank": ({"image": np.zeros((7, 4, 4), np.float32)}, (IMAGE,), r"shape \[7, 4, 4\].*wants \[samples, 1, 4, 4\]"),
    "shape": ({"image": np.zeros((7, 3, 4, 4), np.float32)}, (IMAGE,), r"shape \[7, 3, 4, 4\].*\[samples, 1, 4, 4\]"),
    "no sample axis": ({"x": np.zeros((3, 16, 16), np.float32)}, (tensor("x", 3, 16, 16),), r"\[samples, 3, 16, 16\]"),
    "scalar": ({"image": np.float32(3)}, (IMAGE,), r"has shape \[\]"),  # type: ignore[dict-item]
    "float to int": ({"ids": np.zeros((2, 3))}, (IDS,), r"is float64, but the input 'ids' wants int64"),
    "int to bool": ({"ids": np.zeros((2, 3), int)}, (IDS.model_copy(update={"dtype": "bool"}),), "wants bool"),
    "text": ({"image": np.full((2, 1, 4, 4), "a")}, (IMAGE,), "is <U1, but"),
    "complex": ({"image": images(2, complex)}, (IMAGE,), "is complex128"),
    "objects": ({"image": np.array([{}, []], dtype=object)}, (IMAGE,), "holds Python objects"),
    "records": ({"image": np.zeros(3, dtype=[("a", int)])}, (IMAGE,), "holds records"),
    "order": ({"image": np.asfortranarray(np.ones((3, 2)))}, (tensor("image", "batch", 2),), "Fortran order"),
    "empty": ({"image": images(0)}, (IMAGE,), "has no samples"),
    "counts": ({"image": images(3), "ids": np.ones((2, 2), int)}, (IMAGE, IDS), "has 3 samples, but 'ids' .* has 2"),
    "label count": ({"image": images(3), "labels": np.zeros(2, int)}, (IMAGE,), "There are 2 labels for 3 samples"),
    "label type": (
        {"image": images(3), "labels": np.zeros(3, complex)},
        (IMAGE,),
        "are complex128 of shape",
    ),
    "label shape": (
        {"image": images(3), "labels": np.zeros((3, 1), int)},
        (IMAGE,),
        r"int64 of shape \[3, 1\]",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_when_opened(path: Path, case: str) -> None:
    arrays, inputs, message = REFUSED[case]
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=message) as caught:
        opened(path, *inputs)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity"), (1e300, r"1e\+300, too large for float32,")]
)
def test_values_that_are_not_finite_are_found_while_reading(path: Path, value: float, name: str) -> None:
    array = images(7, np.float64)
    array[5, 0, 2, 2] = value
    np.savez(path, image=array)
    batches = opened(path).batches(2)
    assert [next(batches).first, next(batches).first] == [0, 2]
    with pytest.raises(DataError, match=f"'image' in data.npz holds {name} in sample 5"):
        next(batches)


def test_integers_that_do_not_fit_are_found_while_reading(path: Path) -> None:
    np.savez(path, ids=np.array([[1], [2], [1 << 40]]))
    with pytest.raises(DataError, match="holds 1099511627776 in sample 2, which int32 cannot"):
        read(opened(path, IDS.model_copy(update={"dtype": "int32"})))


@pytest.mark.parametrize("cut", [10, 0.5, 0.98])
def test_archives_that_are_cut_off(path: Path, cut: float) -> None:
    np.savez(path, image=images(500))
    raw = path.read_bytes()
    path.write_bytes(raw[: int(cut if cut > 1 else cut * len(raw))])
    with pytest.raises(DataError, match=r"not a complete \.npz archive"):
        opened(path)


def test_members_that_are_cut_off(path: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "whole.npy", images(500))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image.npy", (tmp_path / "whole.npy").read_bytes()[:-100])
    with pytest.raises(DataError, match=r"'image' in data\.npz is cut off: 31,900 bytes of 32,000"):
        opened(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_bytes_are_found_while_reading(path: Path, save: Any) -> None:
    random = np.random.default_rng(0)
    save(path, image=random.random((500, 1, 4, 4), dtype=np.float32))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"is damaged or cut off|holds"):
        read(opened(path))


def test_other_files_inside_and_out(path: Path) -> None:
    path.write_bytes(b"")
    with pytest.raises(DataError, match="not a complete"):
        opened(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image.npy", b"not an array")
    with pytest.raises(DataError, match=r"'image' in data\.npz is not an array in numpy's format"):
        opened(path)


def test_the_digest_is_of_the_content(path: Path) -> None:
    np.savez(path, image=images())
    first = opened(path).digest()
    moved = path.rename(path.with_name("moved.npz"))
    assert opened(moved).digest() == first
    np.savez(moved, image=images() + 1)
    assert opened(moved).digest() != first


@pytest.mark.parametrize("save", ["savez", "savez_compressed"])
def test_300_mb_are_read_in_little_memory(path: Path, save: str) -> None:
    """In a process that may have 60 MB more than it needs to import everything."""
    program = f"""
import resource, sys
sys.path.insert(0, {str(ROOT)!r})
import numpy as np, ml_dtypes
from pathlib import Path
from tests.data.readers import opened
from tests.core.engines import tensor
from studio.core.memory_usage import peak_bytes
small = Path({str(path)!r}).with_name("small.npz")
np.savez(small, x=np.zeros((8, 250_000), np.float32))
list(opened(small, tensor("x", "batch", 250_000)).batches(8))
used = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + (60 << 20), resource.RLIM_INFINITY))
data = opened(Path({str(path)!r}), tensor("x", "batch", 250_000))
total = sum(float(batch.feeds["x"][0, 0]) * batch.samples for batch in data.batches(8))
print(data.samples, total)
try:
    np.ones(80 << 20, np.uint8)
except MemoryError:
    print("limited")
"""
    row = np.ones(250_000, np.float32)
    getattr(np, save)(path, x=np.broadcast_to(row, (300, 250_000)))
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert ran.stdout.split() == ["300", "300.0", "limited"], ran.stderr
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
