import json
from importlib import metadata

import pytest

from dcae_export.cli import installation
from dcae_export.cli.installation import Requirement, conflicts, faults, is_below
from dcae_export.extras import DISTRIBUTION, install_command
from dcae_export.runtime import provider_probe
from dcae_export.runtime.provider import Provider
from dcae_export.runtime.provider_probe import Probe

WORKING = Probe(provider=Provider.CPU, works=True, reason="")
BROKEN = Probe(provider=Provider.CUDA, works=False, reason="libcublas is missing")


def requirement(name: str, floor: str | None = None, extra: str | None = None) -> Requirement:
    return Requirement(name=name, floor=floor, extra=extra)


@pytest.fixture
def machine(monkeypatch):
    """What is installed on the machine that the doctor sees, and which providers work there."""
    state = {"installed": {"numpy": "2.4.6", "onnxruntime": "1.32.0"}, "probes": [WORKING]}
    needed = [requirement("numpy", "1.26"), requirement("onnxruntime", "1.30", "cpu")]
    monkeypatch.setattr(installation, "installed", lambda: state["installed"])
    monkeypatch.setattr(installation, "requirements", lambda: needed)
    monkeypatch.setattr(provider_probe, "probe_providers", lambda: state["probes"])
    return state


def test_a_sound_installation_ends_with_nothing_to_say(dcae, machine):
    result = dcae("doctor")
    assert result.status == 0
    assert result.err == ""
    assert "cpu       yes" in result.out


def test_a_provider_that_does_not_work_is_no_fault_while_another_does(dcae, machine):
    machine["probes"].append(BROKEN)
    result = dcae("doctor")
    assert result.status == 0
    assert "no: libcublas is missing" in result.out


def test_nothing_to_run_with_is_a_provider_error(dcae, machine):
    machine["probes"] = [BROKEN]
    result = dcae("doctor")
    assert result.status == 5
    assert f"{install_command('cpu')}, or with [gpu]" in result.err


@pytest.mark.parametrize(
    "pair",
    [
        ("onnxruntime", "onnxruntime-gpu"),
        ("onnxruntime", "onnxruntime-openvino"),
        ("opencv-python", "opencv-python-headless"),
        ("opencv-contrib-python-headless", "opencv-python-headless"),
    ],
)
def test_distributions_that_own_one_folder_are_a_fault_with_its_repair(dcae, machine, pair):
    machine["installed"] |= dict.fromkeys(pair, "9.9")
    result = dcae("doctor")
    assert result.status == 3
    assert f"pip uninstall -y {' '.join(pair)}, then pip install" in result.err
    assert all(name in result.out for name in pair)


def test_distributions_with_a_folder_of_their_own_are_no_conflict():
    assert conflicts(["onnxruntime", "onnxruntime-extensions", "onnxruntime-genai", "opencv"]) == []


def test_a_version_below_its_floor_is_a_fault_with_its_repair(dcae, machine):
    machine["installed"]["onnxruntime"] = "1.29.9"
    result = dcae("doctor")
    assert result.status == 3
    assert "onnxruntime 1.29.9 is older than 1.30; pip install -U 'onnxruntime>=1.30'" in result.err


def test_all_faults_are_told_and_the_first_is_the_error(dcae, machine):
    machine["installed"] = {"onnxruntime": "1.0"}
    result = dcae("doctor", "--json")
    content = json.loads(result.out)
    assert len(content["faults"]) == 2
    assert "numpy is missing" in result.err
    assert "(and 1 more)" in result.err


def test_the_json_has_packages_providers_and_faults(dcae, machine):
    content = json.loads(dcae("doctor", "--json").out)
    assert list(content) == [
        *("dcae_export", "python", "executable", "platform"),
        *("packages", "providers", "faults", "gpu"),
    ]
    assert content["packages"][0] == {
        "name": "numpy",
        "installed": "2.4.6",
        "floor": "1.26",
        "for": None,
    }
    assert content["providers"] == [{"name": "cpu", "works": True, "reason": None}]


def test_this_installation_is_sound_and_each_provider_is_told_of(dcae):
    result = dcae("doctor", "--json")
    assert result.status == 0
    found = json.loads(result.out)["providers"]
    assert [one["name"] for one in found] == [provider.value for provider in Provider]
    assert found[0] == {"name": "cpu", "works": True, "reason": None}
    assert all(one["works"] or one["reason"] for one in found)


def test_every_requirement_of_this_package_is_understood():
    stated = metadata.requires(DISTRIBUTION) or []
    parsed = [installation.parse_requirement(text) for text in stated]
    assert {(one.name, one.floor) for one in parsed} >= {("numpy", "1.26"), ("onnxruntime", "1.30")}
    for text, one in zip(stated, parsed, strict=True):
        assert (one.floor is None) == (">=" not in text)
        assert (one.extra is None) == ("extra" not in text)


def test_what_only_developers_need_is_left_out():
    assert not {one.name for one in installation.requirements()} & {"pytest", "ruff", "dcae-export"}


def test_the_floor_of_python_is_the_packages_own():
    assert installation.python_floor() == "3.11"
    assert faults({}, [], lowest_python="99.1")[0].startswith("Python 3.")


def test_only_what_everything_needs_must_be_there():
    needed = [requirement("a"), requirement("b", "2.0", "export")]
    assert faults({}, needed, lowest_python=None) == ["a is missing; pip install a"]


@pytest.mark.parametrize(
    ("version", "floor", "below"),
    [
        ("1.30", "1.30", False),
        ("1.30.0", "1.30", False),
        ("1.9", "1.30", True),
        ("2.13.0+cpu", "2.11", False),
        ("1.29.0.dev5", "1.30", True),
        ("", "1.0", True),
    ],
)
def test_versions_are_compared_by_number(version, floor, below):
    assert is_below(version, floor) is below
