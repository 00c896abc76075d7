"""The contract of a pass: survey first, then a new artifact with what changed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from studio.core.artifact import Artifact
from studio.core.dataset import Dataset
from studio.core.device import Device
from studio.core.engine import Engine
from studio.core.errors import Cancelled as Cancelled
from studio.core.frozen import Frozen
from studio.core.machine.change import Change
from studio.core.memo import Memo
from studio.core.params import Params
from studio.core.report import Reporter, SilentReporter
from studio.core.scope import Scope

if TYPE_CHECKING:
    import onnx_ir as ir

    from studio.core.recipe import Step

Family = Literal["graph", "precision", "structure", "runtime"]


class Need(StrEnum):
    """What a pass must be given besides the model."""

    CALIBRATION = "calibration"
    LABELS = "labels"
    TRAINING = "training"


class Range(Frozen):
    """An expectation: a range with its reason; never a promise.

    For speed, a ratio of latencies, baseline over variant: above 1 is faster. For size, bytes of the
    variant over bytes of the baseline: below 1 is smaller. `calibrated` says that it was computed from
    what this machine was measured to do.
    """

    low: float
    high: float
    reason: str
    calibrated: bool = False


class Survey(Frozen):
    """What a pass would do to a model, said before running it."""

    applies: bool
    #: one short sentence, such as "53 Conv, 1 Gemm"
    summary: str
    #: names of the nodes that it would touch
    nodes: tuple[str, ...] = ()
    why_not: str = ""
    speed: Range | None = None
    size: Range | None = None
    #: what becomes of `nodes`, from which `speed` is computed anew where the machine is calibrated
    change: Change | None = None
    warnings: tuple[str, ...] = ()


class NodeChange(Frozen):
    """What happened to one node. `node` is the name in the result, or in the source when removed."""

    node: str
    operator: str
    change: Literal["added", "removed", "rewritten", "retyped"]
    detail: str = ""


class PassResult(Frozen):
    """What a pass made.

    `artifact` is the source itself when there was nothing to do (`changes` is then empty and a
    warning says why). `provenance` maps nodes of the result to the source's nodes where the pass
    knows better than what tensor names tell; the runner fills in the rest.
    """

    artifact: Artifact
    changes: tuple[NodeChange, ...] = ()
    warnings: tuple[str, ...] = ()
    provenance: dict[str, tuple[str, ...]] = {}
    notes: dict[str, str | int | float | bool] = {}


@dataclass(frozen=True)
class PassContext:
    """What a pass is given when it is applied.

    Attributes
    ----------
    workdir
        An empty folder to write into; the result's files are moved from there.
    scope
        The nodes that it may touch.
    device
        The device to optimize for, if one was chosen.
    calibration
        Calibration data, always present when the pass needs it (synthetic if the user has none).
    reporter
        Progress, log and cancellation.
    engine
        Runs models: inner tensors over the calibration data, loads to time. Always present in a job.
    memo
        Keeps what long work has found so far, so that it goes on from there when it is repeated after it was
        cancelled or crashed; None where nothing is to outlive this run.
    """

    workdir: Path
    scope: Scope = field(default_factory=Scope)
    device: Device | None = None
    calibration: Dataset | None = None
    reporter: Reporter = field(default_factory=SilentReporter)
    engine: Engine | None = None
    memo: Memo | None = None


class Pass(ABC):
    """One way to make a model smaller or faster. Its libraries are imported inside methods only.

    Attributes
    ----------
    id
        ``family.name``, such as ``"quantize.static"``; stable for ever.
    version
        Raised whenever the same parameters give another result.
    exact
        Whether outputs must be preserved up to rounding; checked by the runner.
    changes_interface
        Whether it may change types and shapes of inputs and outputs.
    extracts
        Whether its result may be a part of the model, which inner tensors lead into and out of; each is
        then compared with the source's tensor of that name.
    prepares
        Whether it belongs before passes that approximate, on any model: it leaves them fewer and larger layers.
    needs
        What it must be given besides the model, whatever the parameters; see `needs_for`.
    trials
        Settings worth trying on single layers, as `burnish sensitivity` does: a label to parameters that
        differ from the defaults. They must leave the meaning of inner tensors alone.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    family: ClassVar[Family]
    version: ClassVar[int] = 1
    exact: ClassVar[bool] = False
    changes_interface: ClassVar[bool] = False
    extracts: ClassVar[bool] = False
    prepares: ClassVar[bool] = False
    needs: ClassVar[frozenset[Need]] = frozenset()
    #: one sentence
    summary: ClassVar[str] = ""
    trials: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    Params: ClassVar[type[Params]] = Params

    @abstractmethod
    def survey(self, model: ir.Model, params: Any, device: Device | None, scope: Scope) -> Survey:
        """Say, cheaply and without running the model, what it would touch and what to expect here.

        Parameters
        ----------
        model
            The model, shapes inferred where possible; must not be modified.
        params
            A value of this pass's `Params`.
        device
            The device to expect for; None means unknown: then give no speed range.
        scope
            The nodes that it may touch.
        """

    @abstractmethod
    def apply(self, artifact: Artifact, params: Any, context: PassContext) -> PassResult:
        """Make a new artifact in `context.workdir`; runs in a worker process.

        Raises
        ------
        PassError
            When it cannot be applied, with the reason and a remedy.
        Cancelled
            When the caller asked for it to stop.
        """

    def needs_for(self, params: Any) -> frozenset[Need]:
        """Say what it must be given with these parameters: at least `needs`."""
        return self.needs

    def refuses(self, earlier: tuple[Step, ...]) -> str:
        """Say why it may not follow these steps; empty when it may."""
        return ""


Provenance = Mapping[str, tuple[str, ...]]
