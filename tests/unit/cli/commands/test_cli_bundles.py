import json
import shutil

import pytest
from bundle_factory import edit_manifest, replace_file, write_tiny_bundle

from dcae_export import hub
from dcae_export.cli.bundle_argument import locate_bundle
from dcae_export.errors import BundleError, HubError
from dcae_export.evaluation import parity_matrix
from dcae_export.evaluation.parity_matrix import Measurement, Runtime
from dcae_export.parity import FP32, Difference


@pytest.fixture
def bundle(tmp_path):
    return write_tiny_bundle(tmp_path / "tiny")


def measurement(*, runtime: str = "ONNX Runtime 9 cpu", relative_l2: float = 1e-7) -> Measurement:
    return Measurement(
        graph="decoder",
        runtime=runtime,
        difference=Difference(
            max_abs=relative_l2,
            relative_l2=relative_l2,
            reference_range=1.0,
            psnr_db=None,
            cosine=1.0,
            worst=(0, 1),
            actual_at_worst=1.0,
            expected_at_worst=1.0,
        ),
        tolerance=FP32,
    )


@pytest.fixture
def measured(monkeypatch):
    """What the matrix is made of, and which runtimes were asked for."""
    state = {"runtimes": [], "measurements": [measurement()]}

    def measure(opened, runtimes):
        state["runtimes"] += runtimes
        return state["measurements"]

    monkeypatch.setattr(parity_matrix, "measure", measure)
    return state


def test_verify_names_each_file(dcae, bundle):
    result = dcae("verify", bundle)
    assert result.status == 0
    lines = result.out.splitlines()
    assert len([line for line in lines if line.startswith("ok  ")]) == 4
    assert "ok  decoder.onnx.data  " in result.out
    assert lines[-1].startswith(f"{bundle}: 4 files, ")


def test_verify_gives_its_verdict_as_json(dcae, bundle):
    content = json.loads(dcae("verify", bundle, "--json").out)
    assert list(content) == ["bundle", "ok", "error", "files"]
    assert content["ok"] is True
    assert content["files"]["golden/latent.npy"] > 0


def test_a_flipped_byte_is_refused_and_told_in_json_as_well(dcae, bundle):
    data = bytearray((bundle / "decoder.onnx.data").read_bytes())
    data[-1] ^= 1
    (bundle / "decoder.onnx.data").write_bytes(data)
    result = dcae("verify", bundle, "--json")
    assert result.status == 4
    content = json.loads(result.out)
    assert content["ok"] is False
    assert "decoder.onnx.data: sha256 differs" in content["error"]
    assert "decoder.onnx.data: sha256 differs" in result.err


def test_a_missing_file_is_an_incomplete_bundle(dcae, bundle):
    (bundle / "golden" / "image.npy").unlink()
    assert dcae("verify", bundle).status == 3


def test_no_folder_is_an_error(dcae, tmp_path):
    result = dcae("verify", tmp_path / "nowhere")
    assert result.status == 3
    assert "no such folder" in result.err


def test_inspect_says_what_the_bundle_is(dcae, bundle):
    result = dcae("inspect", bundle)
    assert result.status == 0
    for part in ("tiny", "latent float32 [batch, 4, height, width]", "opset 18", "generic"):
        assert part in result.out
    assert "providers: " in result.out
    assert "dcae-export 0" in result.out


def test_inspect_names_the_float32_blocks_of_a_mixed_graph(dcae, bundle):
    assert "in float32" not in dcae("inspect", bundle).out
    blocks = [{"block": "stages.3.1", "max_abs": 23456.0}, {"block": "conv_out", "max_abs": None}]
    edit_manifest(
        bundle,
        lambda content: content["graphs"]["decoder"].update(precision="fp16", fp32_blocks=blocks),
    )
    out = dcae("inspect", bundle).out
    assert "generic, fp16, opset 18" in out
    assert "decoder in float32: stages.3.1 (reaches 2.35e+04), conv_out" in out


def test_inspect_says_that_weights_are_random(dcae, bundle):
    edit_manifest(bundle, lambda content: content["model"].update(weights="random:7"))
    assert "RANDOM WEIGHTS (random:7)" in dcae("inspect", bundle).out
    assert json.loads(dcae("inspect", bundle, "--json").out)["random_weights"] is True


def test_inspect_gives_the_whole_manifest_as_json(dcae, bundle):
    content = json.loads(dcae("inspect", bundle, "--json").out)
    assert list(content) == ["bundle", "random_weights", "manifest", "packages", "providers"]
    assert content["manifest"] == json.loads((bundle / "manifest.json").read_text())


def test_inspect_works_without_an_onnx_runtime(dcae, bundle, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    result = dcae("inspect", bundle)
    assert result.status == 0
    assert "no ONNX Runtime is installed" in result.out


def test_parity_runs_the_cpu_unless_told_otherwise(dcae, bundle, measured):
    result = dcae("parity", bundle)
    assert result.status == 0
    assert measured["runtimes"] == [Runtime.CPU]
    lines = result.out.splitlines()
    assert lines[0] == "graph    ONNX Runtime 9 cpu"
    assert lines[1] == "decoder  1.0e-07  1.0e-07  ok"


def test_parity_runs_each_runtime_that_was_named_once(dcae, bundle, measured):
    dcae(
        *("parity", bundle, "--provider", "cuda", "--provider", "cuda"),
        *("--against", "openvino", "--against", "reference"),
    )
    assert measured["runtimes"] == [Runtime.CUDA, Runtime.OPENVINO, Runtime.REFERENCE]


def test_the_matrix_has_a_column_for_each_runtime(dcae, bundle, measured):
    measured["measurements"].append(measurement(runtime="OpenVINO 1", relative_l2=2e-7))
    header, row = dcae("parity", bundle).out.splitlines()[:2]
    assert header.split("  ")[-1].strip() == "OpenVINO 1"
    assert row.endswith("2.0e-07  2.0e-07  ok")


def test_a_miss_is_shown_and_ends_with_its_status(dcae, bundle, measured):
    measured["measurements"].append(measurement(runtime="OpenVINO 1", relative_l2=1.0))
    result = dcae("parity", bundle)
    assert result.status == 7
    assert "MISSED" in result.out
    assert "1 of 2 missed; worst: decoder on OpenVINO 1" in result.err


def test_a_miss_is_told_in_json_as_well(dcae, bundle, measured):
    measured["measurements"] = [measurement(relative_l2=float("inf"))]
    result = dcae("parity", bundle, "--json")
    assert result.status == 7
    content = json.loads(result.out)
    assert content["passed"] is False
    assert content["measurements"][0]["relative_l2"] is None


def test_a_bundle_without_golden_arrays_cannot_pass(dcae, bundle, measured):
    measured["measurements"] = []
    assert dcae("parity", bundle).status == 3


def test_a_local_folder_is_never_asked_from_the_hub(bundle, monkeypatch):
    monkeypatch.setattr(hub, "fetch", lambda *args, **options: pytest.fail("asked the hub"))
    monkeypatch.chdir(bundle.parent.parent)
    assert locate_bundle(f"{bundle.parent.name}/{bundle.name}").name == "tiny"


@pytest.fixture
def repository(bundle, tmp_path, monkeypatch):
    """A hub that has the tiny bundle as org/tiny; what was fetched is recorded."""
    fetched = []

    def fetch(name, *, into=None, allow):
        if name != "org/tiny":
            raise HubError(f"{name}: no such repository")
        fetched.append(allow)
        folder = tmp_path / "cache"
        for path in allow:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle / path, folder / path)
        (folder / ".cache" / "huggingface").mkdir(parents=True, exist_ok=True)
        return folder

    monkeypatch.setattr(hub, "fetch", fetch)
    return fetched


def test_a_repository_is_fetched_manifest_first_then_its_files_and_no_others(dcae, repository):
    assert dcae("verify", "org/tiny").status == 0
    first, second = repository
    assert first == ("manifest.json",)
    assert set(second) == {
        "manifest.json",
        "decoder.onnx",
        "decoder.onnx.data",
        "golden/latent.npy",
        "golden/image.npy",
    }


def test_a_repository_whose_files_are_not_its_manifests_is_refused(dcae, repository, bundle):
    replace_file(bundle, "golden/latent.npy", (bundle / "golden" / "latent.npy").read_bytes())
    (bundle / "decoder.onnx.data").write_bytes(bytes((bundle / "decoder.onnx.data").stat().st_size))
    assert dcae("verify", "org/tiny").status == 4


def test_a_repository_with_a_malformed_manifest_is_fetched_no_further(repository, bundle):
    (bundle / "manifest.json").write_text("{}")
    with pytest.raises(BundleError):
        locate_bundle("org/tiny")
    assert len(repository) == 1


def test_a_name_that_is_neither_folder_nor_repository_says_both(dcae, repository):
    result = dcae("verify", "org/typo")
    assert result.status == 3
    assert (
        "no such folder here: org/typo; and of the hub: org/typo: no such repository" in result.err
    )
