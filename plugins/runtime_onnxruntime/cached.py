"""The optimized graph of an earlier load, kept on disk: a later one need not optimize again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.api import Artifact

#: more bytes than fit into one file with room for what fusing adds
LARGEST = 3 << 29


def optimized_before(ort: Any, artifact: Artifact, settings: Any, folder: Path) -> Artifact:
    """Give what to load: the optimized graph if it was kept, else the model, whose optimized graph is kept then.

    Parameters
    ----------
    settings
        Session options; set to write the optimized graph, or not to optimize again. The graph fits this
        machine's instruction sets only.
    """
    kept = folder / f"{artifact.sha256}.onnx"
    if kept.is_file():
        settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        return artifact.model_copy(update={"path": kept})
    folder.mkdir(parents=True, exist_ok=True)
    settings.optimized_model_filepath = str(kept)
    return artifact
