"""What is known of ONNX Runtime's execution providers: short name, hardware, precisions."""

from __future__ import annotations

from dataclasses import dataclass

from studio.api import Accelerator, DeviceKind, cpu_info

CPU = "CPUExecutionProvider"
#: Sends inferences to a server: not a device of this machine.
REMOTE = frozenset({"AzureExecutionProvider"})
SUFFIX = "ExecutionProvider"


@dataclass(frozen=True)
class Provider:
    """An execution provider.

    Attributes
    ----------
    short
        Its part of a device id, such as ``"CUDA"``.
    vendors
        Whose hardware it drives; empty for any.
    per_card
        Whether it takes a ``device_id``, so that each card is a device of its own.
    """

    short: str
    kind: DeviceKind
    vendors: frozenset[str] = frozenset()
    precisions: tuple[str, ...] = ()
    per_card: bool = False


_NVIDIA = frozenset({"nvidia"})
_AMD = frozenset({"amd"})
_GPU = ("FP32", "FP16", "INT8")

_KNOWN = {
    CPU: Provider("CPU", "cpu"),
    "CUDAExecutionProvider": Provider("CUDA", "gpu", _NVIDIA, _GPU, per_card=True),
    "TensorrtExecutionProvider": Provider("TENSORRT", "gpu", _NVIDIA, _GPU, per_card=True),
    "NvTensorRTRTXExecutionProvider": Provider("TENSORRT-RTX", "gpu", _NVIDIA, _GPU, per_card=True),
    "MIGraphXExecutionProvider": Provider("MIGRAPHX", "gpu", _AMD, _GPU, per_card=True),
    "ROCMExecutionProvider": Provider("ROCM", "gpu", _AMD, _GPU, per_card=True),
    "DmlExecutionProvider": Provider("DML", "gpu", precisions=("FP32", "FP16")),
    "WebGpuExecutionProvider": Provider("WEBGPU", "gpu", precisions=("FP32", "FP16")),
    "CoreMLExecutionProvider": Provider("COREML", "npu", frozenset({"apple"}), ("FP32", "FP16")),
    "OpenVINOExecutionProvider": Provider("OPENVINO", "other", frozenset({"intel"}), ("FP32", "INT8")),
    "QNNExecutionProvider": Provider("QNN", "npu", frozenset({"qualcomm"}), ("FP16", "INT8")),
    "VitisAIExecutionProvider": Provider("VITISAI", "npu", _AMD, ("INT8",)),
    "CANNExecutionProvider": Provider("CANN", "npu", precisions=("FP32", "FP16")),
    "DnnlExecutionProvider": Provider("DNNL", "cpu", precisions=("FP32",)),
    "XnnpackExecutionProvider": Provider("XNNPACK", "cpu", precisions=("FP32", "INT8")),
    "ACLExecutionProvider": Provider("ACL", "cpu", precisions=("FP32",)),
}
#: vendor and kind to the package whose build or plugin drives it
_PACKAGES = {
    ("nvidia", "gpu"): "pip uninstall onnxruntime, then pip install onnxruntime-gpu in its place",
    ("amd", "gpu"): "pip uninstall onnxruntime, then pip install onnxruntime-migraphx in its place, "
    "or pip install onnxruntime-ep-webgpu",
    ("amd", "npu"): "install AMD's build of ONNX Runtime with VitisAIExecutionProvider",
    ("intel", "gpu"): "pip install onnxruntime-ep-openvino, or use the runtime 'openvino'",
    ("intel", "npu"): "pip install onnxruntime-ep-openvino, or use the runtime 'openvino'",
    ("qualcomm", "gpu"): "pip install onnxruntime-qnn",
    ("qualcomm", "npu"): "pip install onnxruntime-qnn",
    ("apple", "gpu"): "pip install an onnxruntime build for macOS: it has CoreMLExecutionProvider",
    ("apple", "npu"): "pip install an onnxruntime build for macOS: it has CoreMLExecutionProvider",
}


def provider(name: str) -> Provider:
    """Give what is known of an execution provider; one that is not known gets its own name."""
    return _KNOWN.get(name) or Provider(name.removesuffix(SUFFIX).upper(), "other")


def cpu_precisions() -> tuple[str, ...]:
    """Element types that the CPU provider computes in: FP16 only where the processor has its arithmetic."""
    half = ("FP16",) if "FP16" in cpu_info().instruction_sets else ()
    return ("FP64", "FP32", *half, "INT8", "INT4")


def remedy(card: Accelerator) -> str:
    """Say what makes an accelerator usable through ONNX Runtime."""
    return _PACKAGES.get((card.vendor, card.kind), "install a build of ONNX Runtime with a provider for it")
