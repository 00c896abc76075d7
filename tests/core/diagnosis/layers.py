"""Layers and profiles in plain numbers."""

from __future__ import annotations

from typing import Any

from studio.core.diagnosis.causes import Side
from studio.core.profile import LayerProfile, Profile
from studio.core.runtime import RunOptions

DEVICE = "onnxruntime:CPU"


def layer(name: str, ms: float, operator: str = "Conv", **fields: Any) -> LayerProfile:
    """Make a layer; a Conv or MatMul does arithmetic of its own."""
    core = operator in ("Conv", "MatMul", "ConvInteger", "QLinearConv")
    kind = {"Cast": "conversion", "QuantizeLinear": "conversion", "Transpose": "reorder", "Reorder": "reorder"}
    nodes = fields.pop("nodes", (name,))
    origins = fields.pop("origins", nodes)
    cores = fields.pop("cores", nodes[:1] if core else ())
    return LayerProfile(
        name=name,
        operator=operator,
        nanoseconds=round(ms * 1e6),
        precision=fields.pop("precision", "f32"),
        placement=fields.pop("placement", DEVICE),
        kind=fields.pop("kind", "compute" if core else kind.get(operator, "other")),
        nodes=nodes,
        origins=origins,
        cores=cores,
        **fields,
    )


def side(*layers: LayerProfile, clean: float | None = None, cores: int | None = 2, **fields: Any) -> Side:
    """Make a side whose clean latency is the sum of its layers, unless told."""
    total = sum(item.nanoseconds for item in layers)
    threads = fields.pop("threads", None)
    profile = Profile(
        model_name="m",
        model_sha256="0" * 64,
        device=fields.pop("device", DEVICE),
        runtime_version="1",
        options=RunOptions(threads=threads),
        batch=1,
        synthetic=True,
        layers=layers,
        clean_ns=total if clean is None else round(clean * 1e6),
        samples=10,
        **fields,
    )
    return Side(profile, cores)
