"""The C++ runtime, built once for all tests and workers, where a compiler is."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "runtimes" / "cpp"
# Beside the headers that make fetches, so that a second run compiles what has changed.
BUILDS = SOURCE / "build"
_TOOLS = ("cmake", "g++", "ninja", "pkg-config")
_LIBRARIES = ("libpng", "libjpeg", "libwebp", "libcrypto", "nlohmann_json")
_HEADERS = (
    str(BUILDS / "headers" / "include"),
    "/usr/include/onnxruntime",
    "/usr/include/onnxruntime/core/session",
)
_WAY_OUT = ".ci/run installs it"


def missing() -> list[str]:
    """What a build needs and this machine lacks."""
    tools = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if "pkg-config" in tools:
        return tools
    libraries = [
        name
        for name in _LIBRARIES
        if subprocess.run(["pkg-config", "--exists", name], check=False).returncode
    ]
    return [*tools, *libraries, *([] if _has_headers() else ["ONNX Runtime's headers"])]


def require_compiler() -> None:
    """Skip the test where the C++ runtime cannot be built, with the reason."""
    lacking = missing()
    if lacking:
        pytest.skip(f"the C++ runtime needs {', '.join(lacking)}; {_WAY_OUT}")


def built(name: str, *options: str) -> Path:
    """``dcae-run``, built with CMake's options; ``name`` is that of the build's folder."""
    require_compiler()
    build = BUILDS / name
    BUILDS.mkdir(exist_ok=True)
    with FileLock(BUILDS / f"{name}.lock"):
        run("cmake", "-S", SOURCE, "-B", build, "-G", "Ninja", *options)
        run("cmake", "--build", build)
    return build / "dcae-run"


def installed(name: str, *options: str) -> Path:
    """The prefix below which the same build is installed."""
    built(name, *options)
    prefix = BUILDS / f"{name}-installed"
    with FileLock(BUILDS / f"{name}.lock"):
        run("cmake", "--install", BUILDS / name, "--prefix", prefix)
    return prefix


def host_program(source: str, program: Path, build: tuple[str, ...], *flags: str) -> Path:
    """A program of the tests that uses the library of a build, compiled as ``program``."""
    prefix = installed(*build)
    (library,) = prefix.rglob("libdcae.so")
    run(
        *("g++", "-std=c++17", *flags, ROOT / "tests" / source, "-I", prefix / "include"),
        *("-o", program, "-L", library.parent, "-ldcae", "-pthread"),
        f"-Wl,-rpath,{library.parent}",
    )
    return program


def run(*command: str | Path, **environment: str) -> str:
    """Run a command that has to succeed; its output."""
    result = subprocess.run(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=os.environ | environment,
    )
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}"
    return result.stdout


def onnxruntime_library() -> Path:
    """The library that Python's package loads a copy of: the same build."""
    found = importlib.util.find_spec("onnxruntime")
    assert found is not None
    assert found.origin is not None
    (library,) = (Path(found.origin).parent / "capi").glob("libonnxruntime.so.*")
    return library


def onnxruntime_headers() -> Path:
    """The folder of ONNX Runtime's headers, where there is one."""
    return next(_header_folders())


def _has_headers() -> bool:
    return any(_header_folders())


def _header_folders() -> Iterator[Path]:
    folders = [os.environ.get("ORT_INCLUDE_DIR"), *_HEADERS]
    paths = (Path(folder) for folder in folders if folder is not None)
    return (path for path in paths if (path / "onnxruntime_c_api.h").is_file())
