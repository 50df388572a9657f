"""What a measurement depends on: the machine, the versions, and how memory is read."""

import functools
import importlib.metadata
import os
import platform
import sys
from hashlib import sha256
from pathlib import Path

import psutil

import dcae_export
from dcae_export.runtime.provider import installed_version

LIBRARIES = ("torch", "onnxruntime", "diffusers", "onnx", "onnxscript", "onnxsim", "numpy")
PACKAGE = Path(dcae_export.__file__).parent


def describe_machine() -> dict[str, object]:
    """The processor, memory and operating system; nothing that names this one machine."""
    return {
        "cpu": _processor(),
        "physical_cores": physical_cores(),
        "logical_cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "os": _operating_system(),
        "python": platform.python_version(),
    }


def describe_versions() -> dict[str, str]:
    """The versions of this package and of the libraries that take part."""
    return {"dcae-export": dcae_export.__version__, **{name: _version(name) for name in LIBRARIES}}


def physical_cores() -> int:
    """Threads that every contestant uses."""
    return psutil.cpu_count(logical=False) or os.cpu_count() or 1


@functools.cache
def source_digest(*folders: str) -> str:
    """A short hash of the package's code, or of some folders of it: between releases no version tells.

    Taken once: an edit during a benchmark belongs to the next one.
    """
    roots = [PACKAGE / folder for folder in folders] or [PACKAGE]
    digest = sha256()
    for path in sorted(path for root in roots for path in root.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def peak_bytes(pid: int | None = None) -> int:
    """The most memory that a process held so far, mapped files included.

    Linux: VmHWM, because ru_maxrss starts at the parent's own peak. For another process than this one, where
    there is no /proc, what it holds now.
    """
    status = Path(f"/proc/{pid or 'self'}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    if pid is not None:
        return psutil.Process(pid).memory_info().rss
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource  # noqa: PLC0415 - Windows has no such module

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS counts bytes


def forget_peak() -> None:
    """Let ``peak_bytes`` of this process begin anew at what it holds now; nothing happens but on Linux."""
    references = Path("/proc/self/clear_refs")
    if references.exists():
        references.write_text("5")


def _version(name: str) -> str:
    # Its wheel for GPUs has another name, and may lie before another one in the path.
    if name == "onnxruntime":
        return installed_version()
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _operating_system() -> str:
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.machine()}"
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}, {platform.machine()}"
