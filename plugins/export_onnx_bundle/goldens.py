"""Golden inputs and outputs as one deterministic .npz."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

from studio.api import Golden

if TYPE_CHECKING:
    from numpy.typing import NDArray

EPOCH = (1980, 1, 1, 0, 0, 0)
#: key in the file to (sample, "input" or "output", tensor name)
Names = dict[str, tuple[int, str, str]]


def goldens_npz(goldens: tuple[Golden, ...]) -> tuple[bytes, Names]:
    """Write the arrays; tensor names stand in the manifest, since they may hold any character.

    Returns
    -------
    tuple
        The file's bytes, and its keys.
    """
    names: Names = {}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, golden in enumerate(goldens):
            for kind, arrays in (("input", golden.feeds), ("output", golden.outputs)):
                for number, (name, array) in enumerate(arrays.items()):
                    key = f"{kind}_{index}_{number}"
                    names[key] = (index, kind, name)
                    archive.writestr(_entry(key), _npy(array))
    return buffer.getvalue(), names


def _entry(key: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(f"{key}.npy", date_time=EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = 0o644 << 16
    return info


def _npy(array: NDArray[Any]) -> bytes:
    import numpy as np

    plain = array.astype(str) if array.dtype == object else array
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(plain).reshape(plain.shape), allow_pickle=False)
    return buffer.getvalue()
