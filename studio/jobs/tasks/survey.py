"""Survey passes: what each would touch, and what to expect on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from studio.core.artifact import Artifact
from studio.core.device import Device
from studio.core.errors import BurnishError
from studio.core.frozen import Frozen
from studio.core.machine.layers import layers_of
from studio.core.machine.profile import PlaceProfile
from studio.core.machine.refine import refine
from studio.core.modelfile import read_light_proto, read_model
from studio.core.params import parse_params
from studio.core.passes import Pass, Survey
from studio.core.recipe import Step
from studio.core.registry import Registry
from studio.core.report import Reporter
from studio.locations import load_registry

if TYPE_CHECKING:
    import onnx_ir as ir


class SurveyModel(Frozen):
    """What to survey: all passes with their defaults, or the given steps with their parameters.

    `earlier` are the steps that came before, for passes that refuse some orders; `place` is the
    calibration of the device, if there is one.
    """

    artifact: Artifact
    device: Device | None = None
    steps: tuple[Step, ...] = ()
    earlier: tuple[Step, ...] = ()
    place: PlaceProfile | None = None


class Surveyed(Frozen):
    """A survey for each pass id, in the order of the plugins (or of the steps)."""

    surveys: dict[str, Survey]


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Survey a `SurveyModel` payload; gives a `Surveyed`."""
    wanted = SurveyModel.model_validate(payload)
    registry = load_registry()
    model = _inferred(wanted.artifact)
    steps = wanted.steps or tuple(Step(pass_id=name) for name in registry.ids("pass"))
    layers = layers_of(read_light_proto(wanted.artifact.path)) if wanted.place else ()
    surveys: dict[str, Survey] = {}
    for index, step in enumerate(steps):
        reporter.progress(index, len(steps), step.pass_id)
        reporter.check()
        surveys[step.pass_id] = refine(_survey(registry, step, model, wanted), layers, wanted.place)
    return Surveyed(surveys=surveys).model_dump(mode="json")


def _survey(registry: Registry, step: Step, model: ir.Model, wanted: SurveyModel) -> Survey:
    """Survey one pass; its failure is a row like any other."""
    try:
        the_pass: Pass = registry.get_pass(step.pass_id)
        refusal = the_pass.refuses(wanted.earlier)
        if refusal:
            return Survey(applies=False, summary="not after the steps before it", why_not=refusal)
        params = parse_params(the_pass.Params, step.params, owner=the_pass.id)
        return the_pass.survey(model, params, wanted.device, step.scope)
    except BurnishError as error:
        return Survey(applies=False, summary="cannot be used", why_not=str(error))
    except Exception as error:  # a fault in one pass must not hide the others
        return Survey(applies=False, summary="failed", why_not=f"{type(error).__name__}: {error}")


def _inferred(artifact: Artifact) -> ir.Model:
    """Open a model with shapes filled in where they can be inferred."""
    import onnx_ir.passes.common as common

    model = read_model(artifact)
    try:
        return common.ShapeInferencePass()(model).model
    except Exception:  # inference is best effort: surveys cope with unknown shapes
        return model
