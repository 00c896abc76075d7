from __future__ import annotations

import base64

import numpy as np

from studio.core.sampleview import view_input, view_outputs


def test_arrays_with_channels_are_pictures() -> None:
    array = np.zeros((1, 9, 12), np.float32)
    array[0, 2, 3] = -2.0
    array[0, 4, 5] = 6.0
    found = view_input("image", array)
    assert (found.kind, found.width, found.height) == ("picture", 12, 9)
    pixels = np.frombuffer(base64.b64decode(found.pixels), np.uint8).reshape(9, 12, 3)
    assert pixels[2, 3].tolist() == [0, 0, 0]
    assert pixels[4, 5].tolist() == [255, 255, 255]
    assert view_input("image", np.zeros((9, 12, 3), np.uint8)).kind == "picture"


def test_other_arrays_are_text_or_values() -> None:
    assert view_input("t", np.array(["a", "b"], object)).text == "a b"
    assert view_input("ids", np.arange(9), "what it says").text == "what it says"
    found = view_input("x", np.arange(20, dtype=np.float32))
    assert found.kind == "values"
    assert found.text.startswith("0, 1, 2")
    assert found.text.endswith("15 …")


def test_scores_are_classes_with_probabilities() -> None:
    (answer,) = view_outputs({"logits": np.array([[0.0, 3.0, 1.0]], np.float32)})
    assert [index for index, _ in answer.classes] == [1, 2, 0]
    assert abs(sum(share for _, share in answer.classes) - 1) < 1e-9
    (plain,) = view_outputs({"y": np.array([2.5], np.float32)})
    assert plain.classes == ()
    assert plain.values == (2.5,)
