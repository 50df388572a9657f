"""A manifest that is not what it has to be."""

import json
from pathlib import Path

import pytest
from bundle_factory import edit_manifest, write_tiny_bundle

from dcae_export.bundle.manifest_file import MAX_MANIFEST_BYTES
from dcae_export.bundle.reader import Bundle
from dcae_export.errors import BundleError


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "bundle")


def _error(bundle: Path) -> str:
    with pytest.raises(BundleError, match=r"^manifest\.json: ") as caught:
        Bundle.open(bundle)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 500
    return message


def _write(bundle: Path, text: str | bytes) -> None:
    data = text.encode() if isinstance(text, str) else text
    (bundle / "manifest.json").write_bytes(data)


def test_a_newer_format_is_an_error_that_names_both_versions(bundle: Path) -> None:
    edit_manifest(bundle, lambda content: content.update(format_version=2))
    assert "format_version 2 is newer than 1" in _error(bundle)


def test_a_newer_format_is_told_before_anything_else_that_changed_with_it(bundle: Path) -> None:
    _write(bundle, '{"format_version": 2, "sorcery": true}')
    assert "format_version 2 is newer than 1" in _error(bundle)


@pytest.mark.parametrize("version", ["1", 1.0, True, None, [1]])
def test_a_format_version_that_is_no_integer_is_an_error(bundle: Path, version: object) -> None:
    edit_manifest(bundle, lambda content: content.update(format_version=version))
    assert "format_version must be an integer" in _error(bundle)


@pytest.mark.parametrize("version", [0, -1])
def test_a_format_version_that_never_was_is_an_error(bundle: Path, version: int) -> None:
    edit_manifest(bundle, lambda content: content.update(format_version=version))
    assert f"format_version {version} does not exist" in _error(bundle)


def test_an_unknown_key_is_an_error_that_names_it(bundle: Path) -> None:
    edit_manifest(bundle, lambda content: content.update(sorcery=1))
    assert _error(bundle) == "manifest.json: sorcery: unknown key"


def test_an_unknown_key_inside_is_an_error_that_names_where(bundle: Path) -> None:
    edit_manifest(bundle, lambda content: content["graphs"]["decoder"].update(hook="x"))
    assert _error(bundle) == "manifest.json: graphs.decoder.hook: unknown key"


def test_a_line_break_in_a_key_does_not_make_a_second_line(bundle: Path) -> None:
    edit_manifest(bundle, lambda content: content.update({"x\n\x1b[31mAll good": 1}))
    assert r"x\n\x1b[31mAll good" in _error(bundle)


def test_a_missing_key_is_an_error_that_names_it(bundle: Path) -> None:
    edit_manifest(bundle, lambda content: content["latent"].pop("channels"))
    assert _error(bundle) == "manifest.json: latent.channels: Field required"


def test_a_number_in_quotes_is_no_number(bundle: Path) -> None:
    edit_manifest(bundle, lambda content: content["latent"].update(channels="4"))
    assert "latent.channels: Input should be a valid integer" in _error(bundle)


def test_several_errors_are_one_line(bundle: Path) -> None:
    edit_manifest(bundle, lambda content: content.update(latent=1, image=2))
    assert "(and 1 more)" in _error(bundle)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_an_error(bundle: Path, number: str) -> None:
    text = (bundle / "manifest.json").read_text()
    _write(bundle, text.replace('"scaling_factor": 0.5', f'"scaling_factor": {number}'))
    _error(bundle)


def test_a_key_that_stands_twice_is_an_error(bundle: Path) -> None:
    text = (bundle / "manifest.json").read_text()
    _write(bundle, text.replace('"shift": 0.0', '"shift": 0.0, "shift": 1.0'))
    assert "key 'shift' stands twice" in _error(bundle)


def test_a_file_that_is_listed_twice_is_an_error(bundle: Path) -> None:
    content = json.loads((bundle / "manifest.json").read_text())
    record = json.dumps({"decoder.onnx": content["files"]["decoder.onnx"]})[1:-1]
    text = json.dumps(content)
    _write(bundle, text.replace('"files": {', f'"files": {{{record}, '))
    assert "key 'decoder.onnx' stands twice" in _error(bundle)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "1",
        "null",
        "nonsense",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"format_version": ' + "9" * 10_000 + "}",
        "\ufeff{}",
        b"\xff\xfe{}",
        b"\x80",
        '{"format_version": 1, "producer": "\\ud800"}',
    ],
)
def test_a_manifest_that_is_no_json_object_is_an_error(bundle: Path, text: str | bytes) -> None:
    _write(bundle, text)
    _error(bundle)


def test_an_oversized_manifest_is_not_read(bundle: Path) -> None:
    with (bundle / "manifest.json").open("r+b") as file:
        file.truncate(2**40)
    assert f"at most {MAX_MANIFEST_BYTES} are read" in _error(bundle)


def test_a_manifest_of_exactly_the_limit_is_read(bundle: Path) -> None:
    text = (bundle / "manifest.json").read_text()
    _write(bundle, text.ljust(MAX_MANIFEST_BYTES))
    Bundle.open(bundle)
    _write(bundle, text.ljust(MAX_MANIFEST_BYTES + 1))
    _error(bundle)


def test_a_very_long_key_makes_no_long_message(bundle: Path) -> None:
    edit_manifest(bundle, lambda content: content.update({"x" * 100_000: 1}))
    _error(bundle)
