"""The devices that the installed ONNX Runtime offers, and what is needed to load a model onto each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio.api import Accelerator, Device, DeviceKind, UnavailableDevice, cpu_device

from .catalog import CPU, REMOTE, Provider, cpu_precisions, provider, remedy

RUNTIME = "onnxruntime"
_KINDS: dict[str, DeviceKind] = {"CPU": "cpu", "GPU": "gpu", "NPU": "npu"}


@dataclass(frozen=True)
class Backend:
    """A device and how a session is given it.

    Attributes
    ----------
    provider
        Name of the execution provider.
    options
        Its options, such as ``{"device_id": "1"}``.
    ep_device
        The engine's ``OrtEpDevice`` of a plugin execution provider, else None.
    """

    device: Device
    provider: str
    options: dict[str, str] = field(default_factory=dict)
    ep_device: Any = None


def cpu_backend() -> Backend:
    """Give the CPU, which every build has."""
    return Backend(cpu_device(RUNTIME, cpu_precisions(), "MLAS"), CPU)


def find_backends(ort: Any, cards: Sequence[Accelerator]) -> tuple[Backend, ...]:
    """List all devices of the installed build and its registered plugins: accelerators, the CPU, the others.

    Parameters
    ----------
    ort
        The engine (``get_available_providers``, ``get_ep_devices``).
    cards
        Accelerators that the machine has.
    """
    built_in = [name for name in ort.get_available_providers() if name not in REMOTE and name != CPU]
    found = [backend for name in built_in for backend in _built_in(name, provider(name), cards)]
    taken = set(built_in)
    plugins = [item for item in ort.get_ep_devices() if item.ep_name != CPU and item.ep_name not in taken]
    found.extend(_plugin_backends(plugins))
    quick = [backend for backend in found if backend.device.kind in ("gpu", "npu")]
    return (*quick, cpu_backend(), *(backend for backend in found if backend not in quick))


def find_unavailable(ort: Any, cards: Sequence[Accelerator], failed: dict[str, str]) -> Iterator[UnavailableDevice]:
    """List cards without a provider, providers without a card, and plugins that do not load."""
    backends = find_backends(ort, cards)
    for card in cards:
        if not any(_drives(backend, card) for backend in backends):
            yield _row(card.name, card.kind, f"{_build(ort)} has no execution provider for it.", remedy(card))
    for name in ort.get_available_providers():
        known = provider(name)
        if known.per_card and not any(backend.provider == name for backend in backends):
            vendor = " or ".join(sorted(known.vendors)).upper()
            reason = f"The build has {name}, but no {vendor} GPU is seen."
            yield _row(known.short, known.kind, reason, "check the card and its driver (nvidia-smi or rocm-smi)")
    for name, why in failed.items():
        yield _row(name, "other", f"The plugin execution provider does not load: {why}.", f"pip install -U {name}")


def _built_in(name: str, known: Provider, cards: Sequence[Accelerator]) -> Iterator[Backend]:
    mine = [card for card in cards if card.kind == "gpu" and card.vendor in known.vendors]
    if not known.per_card:
        card = next((card for card in cards if card.kind == known.kind and _fits(known, card)), None)
        yield Backend(_device(known.short, known, known.kind, card), name)
        return
    for index, card in enumerate(mine):
        yield Backend(_device(f"{known.short}:{index}", known, "gpu", card), name, {"device_id": str(index)})


def _plugin_backends(plugins: Sequence[Any]) -> Iterator[Backend]:
    """Name the devices of plugins ``OPENVINO:GPU``, with ``.1`` and so on from the second of a kind."""
    seen: Counter[str] = Counter()
    for item in plugins:
        known = provider(item.ep_name)
        hardware = item.device.type.name
        base = f"{known.short}:{hardware}"
        number = f".{seen[base]}" if seen[base] else ""
        seen[base] += 1
        device = Device(
            runtime=RUNTIME,
            id=base + number,
            name=item.device.metadata.get("Description") or f"{item.device.vendor} {hardware}".strip(),
            kind=_KINDS.get(hardware, "other"),
            precisions=known.precisions,
            driver=item.ep_metadata.get("version", ""),
            details={"provider": item.ep_name, "provider vendor": item.ep_vendor},
        )
        yield Backend(device, item.ep_name, ep_device=item)


def _device(name: str, known: Provider, kind: DeviceKind, card: Accelerator | None) -> Device:
    details = dict(card.details) if card else {}
    return Device(
        runtime=RUNTIME,
        id=name,
        name=card.name if card else f"{known.short} (chosen by the provider)",
        kind=kind,
        precisions=_precisions(known, details),
        memory_bytes=card.memory_bytes if card else None,
        driver=card.driver if card else "",
        details=details,
    )


def _precisions(known: Provider, details: dict[str, str]) -> tuple[str, ...]:
    """Add BF16 and FP8 to NVIDIA cards whose compute capability has them (8.0 and 8.9)."""
    major, _, minor = details.get("compute capability", "").partition(".")
    capability = (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)
    extra = (("BF16",) if capability >= (8, 0) else ()) + (("FP8",) if capability >= (8, 9) else ())
    return known.precisions + extra


def _fits(known: Provider, card: Accelerator) -> bool:
    return not known.vendors or card.vendor in known.vendors


def _drives(backend: Backend, card: Accelerator) -> bool:
    kind = backend.device.kind
    return _fits(provider(backend.provider), card) and (kind in (card.kind, "other") or card.vendor == "apple")


def _build(ort: Any) -> str:
    return f"This build of ONNX Runtime ({ort.__version__})"


def _row(name: str, kind: DeviceKind, reason: str, what: str) -> UnavailableDevice:
    return UnavailableDevice(
        runtime=RUNTIME, name=name, kind=kind, reason=reason, remedy=f"{what[0].upper()}{what[1:]}."
    )
