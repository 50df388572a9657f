"""The installed library, as somebody else's project finds it."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from cpp_runtime import ROOT, host_program, installed, onnxruntime_library, run

from dcae_export.pictures.picture_file import read_picture
from dcae_export.runtime.pipeline import Pipeline
from runtimes.conformance.suite import Suite

pytestmark = pytest.mark.integration

CONSUMER = ROOT / "tests" / "cpp_consumer"
LABEL, SEED = "azure", 7
NO_TRANSFORMER = "holds no transformer, so it cannot generate; export it with --transformer"


@pytest.fixture(scope="module")
def prefix() -> Path:
    """Where the library is installed."""
    return installed("release")


def assert_python_generates_the_same(suite: Suite, picture: Path) -> None:
    pipeline = Pipeline.open(suite.bundle("class"), threads=1)
    (expected,) = pipeline.generate([LABEL], seed=SEED)
    assert np.array_equal(read_picture(picture), expected)


def library_folder(prefix: Path) -> Path:
    (library,) = prefix.rglob("libdcae.so")
    return library.parent


def test_a_project_in_c_finds_and_uses_the_installed_library(
    prefix: Path, suite: Suite, tmp_path: Path
) -> None:
    build = tmp_path / "build"
    run("cmake", "-S", CONSUMER, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", build)
    said = run(
        *(build / "consumer", suite.bundle("class"), LABEL, tmp_path / "picture.png"),
        DCAE_ONNXRUNTIME=str(onnxruntime_library()),
    )
    assert said == "4 of 4\n"
    assert_python_generates_the_same(suite, tmp_path / "picture.png")


def test_the_readmes_example_compiles_with_pkg_config_and_runs(
    prefix: Path, suite: Suite, tmp_path: Path
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```cpp\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    source, program = tmp_path / "example.cpp", tmp_path / "example"
    source.write_text(example)
    folder = library_folder(prefix)
    place = {"PKG_CONFIG_PATH": str(folder / "pkgconfig")}
    flags = run("pkg-config", "--cflags", "--libs", "dcae", **place)
    libraries = run("pkg-config", "--variable=libdir", "dcae", **place)
    warnings = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
    found = f"-Wl,-rpath,{libraries.strip()}"
    run("g++", "-std=c++17", *warnings, source, "-o", program, *flags.split(), found)
    run(
        *(program, suite.bundle("class"), LABEL, tmp_path / "picture.png"),
        DCAE_ONNXRUNTIME=str(onnxruntime_library()),
    )
    assert_python_generates_the_same(suite, tmp_path / "picture.png")


def test_nothing_of_onnx_runtime_is_installed(prefix: Path) -> None:
    headers = sorted(path.name for path in (prefix / "include").rglob("*") if path.is_file())
    assert headers == ["dcae.h", "dcae.hpp"]
    texts = [path.read_text() for path in (prefix / "include").rglob("*.h*")]
    assert not any("onnxruntime_c" in text for text in texts)


def test_the_library_exports_the_c_interface_and_nothing_else(prefix: Path) -> None:
    lines = run("nm", "-D", "--defined-only", library_folder(prefix) / "libdcae.so").splitlines()
    names = {line.split()[-1] for line in lines}
    assert {"dcae_open", "dcae_generate", "dcae_close"} <= names
    assert {name for name in names if not name.startswith("dcae_")} == set()


def test_the_librarys_own_tests_pass(prefix: Path) -> None:
    run("ctest", "--test-dir", prefix.with_name("release"), "--output-on-failure")


def test_threads_that_share_a_handle_are_told_of_their_own_errors(
    suite: Suite, tmp_path: Path
) -> None:
    program = host_program("cpp_soak/soak.cpp", tmp_path / "soak", ("release",))
    assert run(program, "errors", suite.bundle("class"), "2000") == "done\n"


@pytest.mark.parametrize("graphs", [{"encoder"}, {"decoder"}, {"encoder", "decoder"}, set()])
def test_an_entry_without_its_graph_is_an_error(
    suite: Suite, tmp_path: Path, graphs: set[str]
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(suite.bundle("class"), bundle)
    keep_graphs(bundle / "manifest.json", graphs)
    program = host_program("cpp_entries/entries.cpp", tmp_path / "entries", ("release",))
    said = run(
        *(program, bundle, suite.picture("small")), DCAE_ONNXRUNTIME=str(onnxruntime_library())
    )
    names = ("default_size", "evaluations", "generate", "sample", "decode_sampled")
    expected = dict.fromkeys(names, f"3 {bundle}: {NO_TRANSFORMER}")
    there = ", ".join(sorted(graphs, reverse=True)) or "none"
    needs = {"encode": ["encoder"], "decode": ["decoder"], "reconstruct": ["encoder", "decoder"]}
    for name, needed in needs.items():
        missing = [graph for graph in needed if graph not in graphs]
        expected[name] = (
            f"3 {bundle}: no {missing[0]} in this bundle; its graphs: {there}" if missing else "0"
        )
    no_arrays = f"3 {bundle}: holds no golden arrays; export the bundle again"
    expected |= {"parity": "0" if graphs else no_arrays, "verify": "0", "release": "0"}
    assert dict(line.split(": ", 1) for line in said.splitlines()) == expected


def keep_graphs(path: Path, graphs: set[str]) -> None:
    """Take the transformer and all graphs but these out of a manifest, as somebody else might write one."""
    manifest = json.loads(path.read_text())
    for name in ("diffusion", "conditioning", "samplers", "noise"):
        manifest[name] = None
    manifest["model"]["transformer"] = None
    manifest["graphs"] = {
        name: graph for name, graph in manifest["graphs"].items() if name in graphs
    }
    manifest["golden"] = [case for case in manifest["golden"] if case["graph"] in graphs]
    path.write_text(json.dumps(manifest))
