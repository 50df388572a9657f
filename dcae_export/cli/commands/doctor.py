"""``dcae doctor``."""

import platform
import sys
from typing import TYPE_CHECKING

import click

from dcae_export import __version__
from dcae_export.cli import installation
from dcae_export.cli.command import command_with
from dcae_export.cli.console import json_option, print_json, print_table, size_text
from dcae_export.errors import InputError, ProviderError
from dcae_export.runtime.provider import install_hint

if TYPE_CHECKING:
    from dcae_export.cli.installation import Requirement
    from dcae_export.runtime.gpu_report import GpuReport
    from dcae_export.runtime.provider_probe import Probe


@command_with(name="doctor", examples=("dcae doctor", "dcae doctor --json"))
@json_option
def command(*, as_json: bool) -> None:
    """Check the installation: versions, distributions that overwrite each other, GPUs, and providers.

    Each provider runs a node; where one does not, the reason names what is missing and the package that brings it.

    Status 3: a version is too old, or two distributions collide. Status 5: nothing can run a bundle.
    """
    from dcae_export.runtime.gpu_report import gpu_report
    from dcae_export.runtime.provider_probe import probe_providers

    versions = installation.installed()
    needed = installation.requirements()
    faults = installation.faults(versions, needed, lowest_python=installation.python_floor())
    faults += [
        f"{' and '.join(conflict.distributions)} overwrite each other's files; {conflict.repair}"
        for conflict in installation.conflicts(versions)
    ]
    probes = probe_providers()
    gpus = gpu_report()
    if as_json:
        print_json({**_content(versions, needed, faults, probes), "gpu": _gpu_content(gpus)})
    else:
        _print_report(versions, needed, probes)
        _print_gpus(gpus)
        for fault in faults:
            click.echo(f"fault: {fault}")
    if faults:
        raise InputError(faults[0] + (f" (and {len(faults) - 1} more)" if faults[1:] else ""))
    if not any(probe.works for probe in probes):
        raise ProviderError(f"no ONNX Runtime provider works; {install_hint()}")


def _content(
    versions: dict[str, str],
    needed: "list[Requirement]",
    faults: list[str],
    probes: "list[Probe]",
) -> dict[str, object]:
    return {
        "dcae_export": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "packages": [
            {
                "name": name,
                "installed": versions.get(name),
                "floor": floor,
                "for": extra,
            }
            for name, floor, extra in _packages(versions, needed)
        ],
        "providers": [
            {"name": probe.provider.value, "works": probe.works, "reason": probe.reason or None}
            for probe in probes
        ],
        "faults": faults,
    }


def _print_report(
    versions: dict[str, str],
    needed: "list[Requirement]",
    probes: "list[Probe]",
) -> None:
    click.echo(f"dcae-export {__version__}, Python {platform.python_version()}, {sys.executable}")
    click.echo(platform.platform())
    click.echo()
    print_table(
        ("package", "installed", "at least", "for"),
        [
            (name, versions.get(name, "-"), floor or "-", extra or "everything")
            for name, floor, extra in _packages(versions, needed)
        ],
    )
    click.echo()
    print_table(
        ("provider", "works"),
        [
            (probe.provider.value, "yes" if probe.works else f"no: {probe.reason}")
            for probe in probes
        ],
    )
    click.echo()


def _print_gpus(report: "GpuReport") -> None:
    """The driver, its GPUs and NVIDIA's libraries; nothing where ONNX Runtime is one without CUDA, and no GPU is."""
    if not report.gpus and report.built_for is None:
        return
    versions = {"driver": report.driver, **report.libraries}
    print_table(
        ("NVIDIA", "version"),
        [
            *((name, version or "none") for name, version in versions.items()),
            ("ONNX Runtime is for CUDA", report.built_for or "none"),
        ],
    )
    click.echo()
    if report.gpus:
        print_table(
            ("GPU", "name", "compute capability", "memory"),
            [
                (str(gpu.number), gpu.name, gpu.compute_capability, size_text(gpu.memory))
                for gpu in report.gpus
            ],
        )
        click.echo()


def _gpu_content(report: "GpuReport") -> dict[str, object]:
    return {
        "driver": report.driver,
        "onnxruntime_cuda": report.built_for,
        "libraries": report.libraries,
        "gpus": [
            {
                "number": gpu.number,
                "name": gpu.name,
                "compute_capability": gpu.compute_capability,
                "memory_bytes": gpu.memory,
            }
            for gpu in report.gpus
        ],
    }


def _packages(
    versions: dict[str, str], needed: "list[Requirement]"
) -> list[tuple[str, str | None, str | None]]:
    """What is needed, and every ONNX Runtime and OpenCV that is installed: name, floor and extra."""
    rows: dict[str, tuple[str, str | None, str | None]] = {}
    for requirement in needed:
        rows.setdefault(requirement.name, (requirement.name, requirement.floor, requirement.extra))
    for name in installation.one_folder_distributions(versions):
        rows.setdefault(name, (name, None, None))
    return list(rows.values())
