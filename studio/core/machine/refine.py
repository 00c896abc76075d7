"""Surveys whose expected speed is computed from the calibration of this machine."""

from __future__ import annotations

from collections.abc import Sequence

from studio.core.machine.layers import LayerCost
from studio.core.machine.predict import predict
from studio.core.machine.profile import PlaceProfile
from studio.core.passes import Survey

NOT_CALIBRATED = "not calibrated: run burnish calibrate"
NOT_KNOWN = "not from the calibration: a shape, or a figure for it, is not known"


def refine(survey: Survey, layers: Sequence[LayerCost], place: PlaceProfile | None) -> Survey:
    """Replace the expected speed by what the calibration and the layers say.

    Parameters
    ----------
    survey
        A pass's own; one that does not apply, expects no speed or names no change stays as it is.
    place
        The calibration of the device; None when there is none, which the reason then says.
    """
    if not survey.applies or survey.speed is None or survey.change is None:
        return survey
    found = predict(layers, place, survey.nodes, survey.change) if place is not None else None
    if found is None:
        note = NOT_CALIBRATED if place is None else NOT_KNOWN
        found = survey.speed.model_copy(update={"reason": f"{survey.speed.reason} ({note})"})
    return survey.model_copy(update={"speed": found})
