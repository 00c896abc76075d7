from __future__ import annotations

import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.core.errors import DataError
from studio.core.source import Reading
from tests.core.engines import tensor
from tests.data.readers import opened, read

WAVE = tensor("wave", "batch", "samples")


def sound(path: Path, samples: NDArray[Any], rate: int = 8000, width: int = 2) -> Path:
    """Write a WAV file from samples of shape ``(samples, channels)`` from -1 to 1."""
    path.parent.mkdir(exist_ok=True, parents=True)
    if width == 1:
        raw = np.rint(samples * 127 + 128).astype(np.uint8).tobytes()
    else:
        whole = np.rint(samples * (2 ** (8 * width - 1) - 1)).astype("<i4")
        raw = whole.reshape(-1, 1).view(np.uint8)[:, :width].tobytes()
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(samples.shape[1])
        stream.setsampwidth(width)
        stream.setframerate(rate)
        stream.writeframes(raw)
    return path


def tone(hertz: float, rate: int, seconds: float = 0.5) -> NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)[:, None]


@pytest.mark.parametrize("with_soundfile", [True, False])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_width_and_two_channels(
    tmp_path: Path, width: int, with_soundfile: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not with_soundfile:
        monkeypatch.setitem(sys.modules, "soundfile", None)
    given = np.array([[0.5, -0.5], [0.25, 0.25], [-1, -0.5], [0, 0]])
    sound(tmp_path / "set" / "a.wav", given, width=width)
    found = read(opened(tmp_path / "set", WAVE))["wave"]
    assert found.dtype == np.float32
    assert np.allclose(found[0], [0, 0.25, -0.75, 0], atol=0.01)


def test_sub_folders_are_classes_and_lengths_are_the_models(tmp_path: Path) -> None:
    sound(tmp_path / "b" / "x.wav", np.full((100, 1), 0.5))
    sound(tmp_path / "a" / "x.wav", np.full((20, 1), 0.25))
    found = read(opened(tmp_path, tensor("wave", "batch", 1, 50)))
    assert found["wave"].shape == (2, 1, 50)
    assert found["labels"].tolist() == [0, 1]
    assert np.allclose(found["wave"][0, 0, [0, 19, 20]], [0.25, 0.25, 0], atol=1e-3)


def test_resampling_keeps_the_tone_and_drops_what_the_rate_cannot_hold(tmp_path: Path) -> None:
    sound(tmp_path / "set" / "a.wav", tone(440, 44_100), 44_100)
    sound(tmp_path / "set" / "b.wav", tone(7000, 44_100), 44_100)
    found = read(opened(tmp_path / "set", WAVE, reading=Reading(rate=8000, seconds=0.5)))["wave"]
    assert found.shape == (2, 4000)
    inner = slice(400, 3600)
    assert np.allclose(found[0][inner], tone(440, 8000)[inner, 0], atol=0.01)
    assert np.abs(found[1][inner]).max() < 0.01


def test_different_lengths_cannot_be_one_batch_unless_a_length_is_said(tmp_path: Path) -> None:
    for name, count in (("a", 10), ("b", 12)):
        sound(tmp_path / "set" / f"{name}.wav", np.zeros((count, 1)))
    data = opened(tmp_path / "set", WAVE)
    assert [batch.feeds["wave"].shape for batch in data.batches(1)] == [(1, 10), (1, 12)]
    with pytest.raises(DataError, match="seconds=N for audio"):
        list(data.batches(2))


def test_a_manifest_of_sounds_with_transcripts(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", np.zeros((10, 1)))
    (tmp_path / "list.csv").write_text("path,said\na.wav,hello there\n", encoding="utf-8")
    data = opened(tmp_path / "list.csv", WAVE, reading=Reading(label="said", labels="text"))
    assert data.label_kind == "text"
    assert read(data)["labels"].tolist() == ["hello there"]


def test_what_is_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.wav").write_bytes(b"RIFFxxxx")
    with pytest.raises(DataError, match=r"a\.wav cannot be read as sound"):
        opened(tmp_path / "bad", WAVE)
    sound(tmp_path / "empty" / "a.wav", np.zeros((0, 1)))
    with pytest.raises(DataError, match=r"a\.wav holds no sound"):
        opened(tmp_path / "empty", WAVE)
    sound(tmp_path / "good" / "a.wav", np.zeros((9, 1)))
    with pytest.raises(DataError, match="The model takes no waveform"):
        opened(tmp_path / "good", tensor("image", "batch", 3, 8, 8))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(DataError, match="cannot be read as sound"):
        opened(tmp_path / "bad", WAVE)
    (tmp_path / "bad" / "a.wav").rename(tmp_path / "bad" / "a.flac")
    with pytest.raises(DataError, match=r"pip install 'burnish\[audio\]'"):
        opened(tmp_path / "bad", WAVE)
