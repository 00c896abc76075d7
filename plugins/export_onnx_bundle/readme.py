"""The README of a bundle."""

from __future__ import annotations

from studio.api import Evaluation, ExportContext, TensorInfo, preprocessing_text

from .manifest import latency_ms, minimum_sqnr

TEXT = """# {name}

Made from `{source}` ({source_sha}) by {steps}. Model: {mb:.2f} MB, sha256 `{sha}`.

## Use

```
python3 -m venv .venv
.venv/bin/pip install -r requirements.txt
.venv/bin/python run.py              # runs a golden sample; run.py INPUT.npz runs yours
.venv/bin/python verify.py           # re-checks files, outputs and latency on this machine
```

On Windows, `.venv\\Scripts\\` in place of `.venv/bin/`. Nothing else is needed.

## Inputs and outputs

{interface}

{pictures}
## What is known

- Golden outputs were computed by `{runtime}` on {data}; `verify.py` wants at least {floor} dB SQNR against them.
- Latency where the bundle was made: {latency}.
{accuracy}
`MANIFEST.json` holds the hashes, every measurement with its environment, and the accuracy figures;
`recipe.toml` the steps that made the model.
"""


PICTURES = """
`run.py` takes pictures too (`run.py photo.jpg`): they are prepared as the model was measured with, by `pixels.py`
as `MANIFEST.json` says under `preprocessing` (`{how}`).
"""


def readme_text(context: ExportContext) -> str:
    """Write the README; it says nothing that was not measured."""
    latency = latency_ms(context)
    steps = [step.pass_id for step in context.recipe.steps]
    prepared = context.preprocessing
    return TEXT.format(
        pictures=PICTURES.format(how=preprocessing_text(prepared)) if prepared is not None else "",
        name=context.source_name.removesuffix(".onnx"),
        source=context.source_name,
        source_sha=context.source_sha256[:12],
        steps=", ".join(f"`{step}`" for step in steps) if steps else "no step: it is the source itself",
        mb=context.artifact.bytes / 1e6,
        sha=context.artifact.sha256,
        interface="\n".join(
            [_tensor("input", item) for item in context.inputs] + [_tensor("output", item) for item in context.outputs]
        ),
        runtime=context.golden_runtime,
        data="generated inputs (no data was given)" if context.synthetic else "samples of the user's data",
        floor=minimum_sqnr(context),
        latency=f"{latency:.3f} ms median" if latency is not None else "not measured",
        accuracy="".join(f"- {_accuracy(item)}\n" for item in context.evaluations),
    )


def _tensor(kind: str, item: TensorInfo) -> str:
    shape = "unknown shape" if item.shape is None else f"[{', '.join(str(dim or '?') for dim in item.shape)}]"
    return f"- {kind} `{item.name}`: {item.dtype} {shape}"


def _accuracy(item: Evaluation) -> str:
    scale, unit = (100, " %") if item.unit == "fraction" else (1, f" {item.unit}".rstrip())
    estimate = item.estimate
    return (
        f"{item.title} on {item.dataset}: {estimate.value * scale:.2f}{unit} "
        f"({estimate.low * scale:.2f} to {estimate.high * scale:.2f}, {estimate.samples} samples, on {item.device})."
    )
