"""TensorRT in C++, as far as it is seen without a GPU: engines are built once, held to CUDA, and shared with Python."""

import ctypes
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from cpp_on_nvidia import Machine
from cpp_runtime import built
from program import Result

from dcae_export.bundle.manifest import GraphName
from dcae_export.bundle.reader import Bundle
from dcae_export.files.writer_lock import writer_lock
from dcae_export.runtime import engine_key, shared_libraries
from dcae_export.runtime.engine_session import CONTEXT_NAME, EnginePlan
from dcae_export.runtime.provider_options import BuilderPrecision, EngineFiles, TensorRtOptions
from dcae_export.runtime.trial_run import trial_axes
from runtimes.conformance.suite import Suite

pytestmark = pytest.mark.integration

LIMIT = 8_000_000_000


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine.make(tmp_path_factory.mktemp("tensorrt"))


@pytest.fixture(autouse=True)
def here(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Python find the libraries of the machine; forget what became of engines before."""
    machine.log()
    monkeypatch.setattr(engine_key, "built_for_cuda", lambda: "13.0")
    monkeypatch.syspath_prepend(machine.packages)

    def load(name: str) -> ctypes.CDLL:
        own = machine.driver / name
        return ctypes.CDLL(str(own) if own.is_file() else name)

    monkeypatch.setattr(shared_libraries, "load_library", load)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    cache = tmp_path / "engines"
    cache.mkdir(mode=0o700)
    return cache


def generate(
    suite: Suite, machine: Machine, cache: Path, *options: str, **environment: str
) -> Result:
    """Generate one picture over whatever is there."""
    return machine.run(
        *("generate", suite.bundle("class"), "--label", "1", "--sampler", "ddim:3", "--force"),
        *(
            "--out",
            cache.parent / "a.png",
            "--provider",
            "tensorrt",
            "--engine-cache",
            cache,
            *options,
        ),
        **environment,
    )


def plan_of(
    suite: Suite, cache: Path, name: GraphName = "transformer", precision: BuilderPrecision = "fp32"
) -> EnginePlan:
    """The engine of Python for one picture."""
    bundle = Bundle.open(suite.bundle("class"))
    axes = trial_axes(bundle.manifest, name, size=None, batch=1)
    options = TensorRtOptions(engine_cache=cache, precision=precision)
    return EnginePlan.of(bundle.check_graph(name), options, axes=axes)


def keep(plan: EnginePlan, files: Mapping[str, bytes]) -> None:
    """Keep an engine as Python keeps one."""
    with plan.cache.building(wait=False), plan.cache.new_entry(plan.key) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)


def test_engines_are_built_once_and_give_the_picture_of_the_graph(
    suite: Suite, machine: Machine, cache: Path
) -> None:
    result = generate(suite, machine, cache)
    assert result.status == 0, result.err
    assert machine.log() == ["build", "build"]
    picture = suite.read_picture(cache.parent / "a.png")
    result = generate(suite, machine, cache)
    assert result.status == 0, result.err
    assert machine.log() == ["load", "load"]
    assert np.array_equal(suite.read_picture(cache.parent / "a.png"), picture)
    result = machine.run(
        *("generate", suite.bundle("class"), "--label", "1", "--sampler", "ddim:3", "--force"),
        *("--out", cache.parent / "a.png"),
    )
    assert result.status == 0, result.err
    assert np.array_equal(suite.read_picture(cache.parent / "a.png"), picture)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_tensorrt_is_given_the_options_of_python(
    suite: Suite, machine: Machine, cache: Path, precision: BuilderPrecision
) -> None:
    result = generate(
        suite, machine, cache, "--engine-precision", precision, "--memory-limit", "8GB"
    )
    assert result.status == 0, result.err
    result = generate(
        suite, machine, cache, "--engine-precision", precision, "--memory-limit", "8GB"
    )
    assert machine.log() == ["build", "build", "load", "load"]
    plan = plan_of(suite, cache, "decoder", precision)
    folder = plan.cache.find(plan.key)
    assert folder is not None
    options = TensorRtOptions(precision=precision, memory_limit=LIMIT)
    files = EngineFiles(
        folder=folder, inputs=plan.key.profile, timings=plan.cache.timings(plan.key.platform)
    )
    (_, of_tensorrt), (_, of_cuda) = options.onnxruntime_providers(files)
    assert machine.options("tensorrt") == of_tensorrt
    assert machine.options("cuda") == of_cuda


def test_an_engine_of_cpp_is_python_s(suite: Suite, machine: Machine, cache: Path) -> None:
    assert generate(suite, machine, cache).status == 0
    for name in ("transformer", "decoder"):
        plan = plan_of(suite, cache, name)
        folder = plan.cache.find(plan.key)
        assert folder is not None
        assert (folder / "one.engine").read_text() == "an engine"
    kept = [path for path in cache.iterdir() if not path.name.startswith((".", "timings-"))]
    assert len(kept) == 2


def test_an_engine_of_python_is_cpp_s(suite: Suite, machine: Machine, cache: Path) -> None:
    keep(plan_of(suite, cache), {"one.engine": b"an engine"})
    keep(plan_of(suite, cache, "decoder"), {"one.engine": b"an engine"})
    result = generate(suite, machine, cache)
    assert result.status == 0, result.err
    assert machine.log() == ["load", "load"]


def test_an_engine_for_other_shapes_or_hashes_is_another(
    suite: Suite, machine: Machine, cache: Path
) -> None:
    assert generate(suite, machine, cache).status == 0
    assert machine.log() == ["build", "build"]
    # Twice the rows; the decoder takes one at a time.
    assert generate(suite, machine, cache, "--count", "2").status == 0
    assert machine.log() == ["build", "load"]
    # That engine takes fewer rows as well, and is no other for two requests in a row.
    assert generate(suite, machine, cache, "--count", "2").status == 0
    assert machine.log() == ["load", "load"]
    # What is said of files that nobody compared is not what was compared.
    assert generate(suite, machine, cache, "--no-verify").status == 0
    assert machine.log() == ["build", "build"]


@pytest.mark.parametrize("content", [b"unreadable", b"an engine"])
def test_a_damaged_engine_is_built_again(
    suite: Suite, machine: Machine, cache: Path, content: bytes
) -> None:
    plan = plan_of(suite, cache)
    keep(plan, {"one.engine": content})
    if content == b"an engine":
        folder = plan.cache.find(plan.key)
        assert folder is not None
        (folder / "one.engine").write_bytes(b"an engine that somebody changed")
    result = generate(suite, machine, cache)
    assert result.status == 0, result.err
    log = machine.log()
    assert log[-2:] == ["build", "build"]
    assert ("cannot read" in log) == (content == b"unreadable")
    assert generate(suite, machine, cache).status == 0
    assert machine.log() == ["load", "load"]


@pytest.mark.parametrize(
    ("factor", "how"), [("2", "relative L2 1.0e+00"), ("nan", "an output is not finite;")]
)
def test_an_engine_that_computes_something_else_is_not_kept(
    suite: Suite, machine: Machine, cache: Path, factor: str, how: str
) -> None:
    result = generate(suite, machine, cache, ENGINE_OFF=factor)
    assert result.status == 7
    assert f"transformer.onnx: TensorRT's engine in fp32 is off: {how}" in result.err
    assert (
        "nothing was kept, take --engine-precision bf16 or fp32, or dcae engine build" in result.err
    )
    assert not (cache.parent / "a.png").exists()
    left = {path.name for path in cache.iterdir() if not path.name.startswith("timings-")}
    assert left == {".builder.lock"}


def test_an_engine_that_is_built_in_place_of_a_kept_one_is_compared(
    suite: Suite, machine: Machine, cache: Path
) -> None:
    assert generate(suite, machine, cache).status == 0
    assert machine.log() == ["build", "build"]
    # A provider that looks for another file builds beside the one that is there, without a word.
    result = generate(suite, machine, cache, ENGINE_NAME="two", ENGINE_OFF="2")
    assert result.status == 7
    assert "TensorRT's engine in fp32 is off" in result.err
    result = generate(suite, machine, cache, ENGINE_NAME="two")
    assert result.status == 0, result.err
    machine.log()
    assert generate(suite, machine, cache, ENGINE_NAME="two").status == 0
    assert machine.log() == ["load", "load"]


def test_an_engine_of_files_that_changed_meanwhile_is_not_kept(
    suite: Suite, machine: Machine, cache: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(suite.bundle("class"), bundle)
    words = (
        *("generate", bundle, "--label", "1", "--sampler", "ddim:3", "--out", tmp_path / "a.png"),
        *("--provider", "tensorrt", "--engine-cache", cache),
    )
    result = machine.run(
        *words, BEFORE_BUILD=f"printf x | dd of={bundle}/transformer.onnx conv=notrunc status=none"
    )
    assert result.status == 4
    assert "transformer.onnx: sha256 differs" in result.err
    assert not [path for path in cache.iterdir() if (path / "key.json").exists()]


def test_what_builds_engines_is_loaded_for_a_build_alone(
    suite: Suite, machine: Machine, cache: Path
) -> None:
    builder = "libnvinfer_builder_resource_sm90.so.10.13.3 is loaded"
    result = generate(suite, machine, cache)
    assert builder in result.err
    assert "libnvinfer_builder_resource_win" not in result.err
    assert builder not in generate(suite, machine, cache).err


def test_libraries_beside_an_onnx_runtime_that_is_no_wheel_are_left_alone(
    suite: Suite, machine: Machine, cache: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "shared" / "onnxruntime-linux-x64-gpu" / "lib"
    shutil.copytree(machine.onnxruntime.parent, folder)
    for name in ("nvidia", "tensorrt_libs"):
        shutil.copytree(machine.packages / name, tmp_path / "shared" / name)
    result = generate(
        suite, machine, cache, DCAE_ONNXRUNTIME=str(folder / machine.onnxruntime.name)
    )
    assert result.status == 5
    assert str(tmp_path / "shared" / "nvidia") not in result.err
    assert str(tmp_path / "shared" / "tensorrt_libs") not in result.err


def test_an_engine_of_the_graph_s_own_types_is_made_by_python_and_loaded(
    suite: Suite, machine: Machine, cache: Path
) -> None:
    result = generate(suite, machine, cache, "--engine-precision", "graph")
    assert result.status == 5
    sizes = ", ".join(f"{name} {one.best}" for name, one in plan_of(suite, cache).axes.items())
    assert f"tensorrt: no engine of transformer.onnx for {sizes}, this GPU" in result.err
    assert "dcae engine build makes it" in result.err
    for name in ("transformer", "decoder"):
        plan = plan_of(suite, cache, name, "graph")
        graph = suite.bundle("class") / plan.files.graph.path
        data = {path.name: path.read_bytes() for path in plan.files.data}
        keep(plan, {CONTEXT_NAME: graph.read_bytes(), **data})
    result = generate(suite, machine, cache, "--engine-precision", "graph")
    assert result.status == 0, result.err
    assert machine.log() == ["load finished", "load finished"]


def test_a_cache_that_others_can_write_to_is_refused(
    suite: Suite, machine: Machine, cache: Path
) -> None:
    cache.chmod(0o770)
    result = generate(suite, machine, cache)
    assert result.status == 4
    assert f"{cache}: others may write to it, and engines are machine code" in result.err
    cache.chmod(0o700)
    link = cache.with_name("link")
    link.symlink_to(cache)
    for name in (link, f"{link}/", f"{link}/."):
        result = machine.run(
            *("generate", suite.bundle("class"), "--out", cache.parent / "a.png"),
            *("--provider", "tensorrt", "--engine-cache", name),
        )
        assert result.status == 4
        assert f"{link}: is a link" in result.err
    assert machine.log() == []


def test_a_cache_is_made_for_the_user_alone(suite: Suite, machine: Machine, tmp_path: Path) -> None:
    result = machine.run(
        *("decode", suite.bundle("class"), tmp_path / "no.npy"),
        *("--provider", "tensorrt", "--out", tmp_path / "b.png"),
        DCAE_CACHE=str(tmp_path / "of-user"),
    )
    assert result.status == 3
    assert not (tmp_path / "of-user").exists()
    result = machine.run(
        *("generate", suite.bundle("class"), "--label", "1", "--sampler", "ddim:3"),
        *("--out", tmp_path / "a.png", "--provider", "tensorrt"),
        DCAE_CACHE=str(tmp_path / "of-user"),
    )
    assert result.status == 0, result.err
    result = machine.run(
        *("generate", suite.bundle("class"), "--label", "1", "--sampler", "ddim:3"),
        *("--out", tmp_path / "b.png", "--provider", "tensorrt"),
        DCAE_CACHE="~/of-user",
        HOME=str(tmp_path),
    )
    assert result.status == 0, result.err
    assert machine.log() == ["build", "build", "load", "load"]
    folder = tmp_path / "of-user" / "tensorrt"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len([path for path in folder.iterdir() if (path / "key.json").is_file()]) == 2


def test_what_tensorrt_leaves_to_the_cpu_is_an_error(
    suite: Suite, machine: Machine, cache: Path
) -> None:
    result = generate(suite, machine, cache, ON_GPU="0")
    assert result.status == 5
    assert "tensorrt: transformer.onnx: ONNX Runtime gave it no node to run" in result.err
    assert not (cache.parent / "a.png").exists()


def test_what_is_missing_is_named_with_what_brings_it(
    suite: Suite, machine: Machine, cache: Path, tmp_path: Path
) -> None:
    result = generate(suite, machine, cache, LD_LIBRARY_PATH="")
    assert result.status == 5
    assert "tensorrt: cannot load libcuda.so.1 (the NVIDIA driver; in a container" in result.err
    other = Machine(tmp_path / "other")
    shutil.copytree(machine.folder, other.folder)
    (other.packages / "tensorrt_libs" / "libnvonnxparser.so.10").unlink()
    result = generate(suite, other, cache)
    assert result.status == 5
    assert (
        "tensorrt: cannot load libnvonnxparser.so.10 (pip install 'tensorrt-cu13==10.*')"
        in result.err
    )
    other.provider("tensorrt").unlink()
    shutil.copytree(
        machine.packages / "tensorrt_libs", other.packages / "tensorrt_libs", dirs_exist_ok=True
    )
    result = generate(suite, other, cache)
    assert result.status == 5
    assert "does not say which TensorRT it runs with" in result.err
    other.provider("cuda").unlink()
    result = generate(suite, other, cache)
    assert result.status == 5
    assert "does not say which CUDA it runs with" in result.err
    assert machine.log() == other.log() == []


def test_options_of_engines_go_with_tensorrt(suite: Suite, machine: Machine, cache: Path) -> None:
    for option, value in (("--engine-cache", str(cache)), ("--engine-precision", "fp16")):
        result = machine.run(
            "encode",
            suite.bundle("class"),
            "a.png",
            "--out",
            "a.npy",
            "--provider",
            "cuda",
            option,
            value,
        )
        assert result.status == 2
        assert f"{option} goes with --provider tensorrt" in result.err
    result = generate(suite, machine, cache, "--engine-precision", "fp8")
    assert result.status == 2
    assert "engine precision 'fp8': is none of fp32, fp16, bf16, graph" in result.err


def test_one_process_builds_and_another_waits_until_it_is_told_to_stop(
    suite: Suite, machine: Machine, cache: Path
) -> None:
    command = [
        *(
            built("release"),
            "generate",
            suite.bundle("class"),
            "--label",
            "1",
            "--sampler",
            "ddim:3",
        ),
        *("--out", cache.parent / "a.png", "--provider", "tensorrt", "--engine-cache", cache),
    ]
    with writer_lock(cache / "builder"):
        waiting = subprocess.Popen(
            command, env=machine.environment(), stderr=subprocess.PIPE, text=True
        )
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=2)
        waiting.send_signal(signal.SIGINT)
        begun = time.monotonic()
        _, err = waiting.communicate(timeout=30)
        assert time.monotonic() - begun < 5
        assert waiting.returncode == 130, err
        waiting = subprocess.Popen(
            command, env=machine.environment(), stderr=subprocess.PIPE, text=True
        )
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=2)
        assert machine.log() == []
    _, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, err
    assert machine.log() == ["build", "build"]
