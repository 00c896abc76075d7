"""What a pass needs may depend on its parameters."""

from __future__ import annotations

from typing import Any, ClassVar

import onnx_ir as ir

from studio.core.artifact import Artifact
from studio.core.device import Device
from studio.core.params import Params, param
from studio.core.passes import Need, Pass, PassContext, PassResult, Survey
from studio.core.scope import Scope


class Learned(Params):
    """Whether to look at data."""

    learned: bool = param(False, "Look at data.")


class Sometimes(Pass):
    """Needs data when told to look at it."""

    id = "test.sometimes"
    title = "Sometimes"
    family = "structure"
    Params: ClassVar[type[Params]] = Learned

    def survey(self, model: ir.Model, params: Learned, device: Device | None, scope: Scope) -> Survey:
        return Survey(applies=False, summary="")

    def apply(self, artifact: Artifact, params: Learned, context: PassContext) -> PassResult:
        return PassResult(artifact=artifact)

    def needs_for(self, params: Any) -> frozenset[Need]:
        return frozenset({Need.CALIBRATION}) if params.learned else self.needs


class Always(Sometimes):
    """Needs labels whatever the parameters."""

    needs = frozenset({Need.LABELS})
    needs_for = Pass.needs_for


def test_needs_follow_the_parameters_or_the_class() -> None:
    assert Sometimes().needs_for(Learned()) == frozenset()
    assert Sometimes().needs_for(Learned(learned=True)) == {Need.CALIBRATION}
    assert Always().needs_for(Learned()) == {Need.LABELS}
