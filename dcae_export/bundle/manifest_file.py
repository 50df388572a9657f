"""Read manifest.json, and refuse what it does not know."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from dcae_export.bundle.files import open_inside
from dcae_export.bundle.interface import check_interface
from dcae_export.bundle.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    RELATIVE_PATH_PATTERN,
    Manifest,
)
from dcae_export.errors import BundleError, RefusedError

# Graphs, golden cases and their records take tens of kilobytes, the longest sampler's table one megabyte.
MAX_MANIFEST_BYTES = 4 * 2**20
# The errors of a validation are collected, and each takes a hundred times the bytes that it needs in the file.
_MAX_KEYS = 256
_MAX_ERRORS = 1000


def read_manifest(root: Path) -> Manifest:
    """Read the manifest of the bundle at ``root``.

    Raises:
        BundleError: It is missing, oversized, malformed or of a newer format.
        RefusedError: It is a link, or names a path outside the bundle.
    """
    return parse_manifest(_read_text(root))


def parse_manifest(text: str) -> Manifest:
    """The manifest that its file's text states.

    Raises:
        BundleError: It is malformed, contradicts itself, or is of a newer format.
        RefusedError: It names a path outside the bundle.
    """
    _check_format(format_version(text))
    try:
        manifest = Manifest.model_validate_json(text, strict=True)
    except ValidationError as error:
        _raise_in_one_line(error)
    check_interface(manifest)
    return manifest


def manifest_text(manifest: Manifest) -> str:
    """A manifest as its file holds it.

    Raises:
        BundleError: It is longer than a reader accepts.
    """
    content = manifest.model_dump(mode="json")
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    _check_size(len(text.encode()))
    return text


def is_bundle(root: Path) -> bool:
    """Whether ``root`` holds a manifest of any format version, newer ones included."""
    try:
        format_version(_read_text(root))
    except (BundleError, RefusedError):
        return False
    return True


def _read_text(root: Path) -> str:
    with open_inside(root, MANIFEST_NAME) as file:
        _check_size(os.fstat(file.fileno()).st_size)
        # One byte more than the limit, so that a file that grew meanwhile is not read as a prefix.
        data = file.read(MAX_MANIFEST_BYTES + 1)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BundleError(f"{MANIFEST_NAME}: not UTF-8 at byte {error.start}") from error


def _check_size(size: int) -> None:
    if size > MAX_MANIFEST_BYTES:
        raise BundleError(f"{MANIFEST_NAME}: {size} bytes, at most {MAX_MANIFEST_BYTES} are read")


def format_version(text: str) -> int:
    """The format version that a manifest's text states, looked at before anything else of it.

    Raises:
        BundleError: The text is no JSON object, repeats a key, or states no version.
    """
    try:
        content: object = json.loads(
            text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant
        )
    # Too deep a nesting is a RecursionError; a number of too many digits is a ValueError.
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
        if isinstance(error, json.JSONDecodeError):
            reason = f"malformed at line {error.lineno}"
        raise BundleError(
            f"{MANIFEST_NAME}: not JSON as a bundle has it ({reason}); copy the bundle again"
        ) from error
    if not isinstance(content, _Object):
        raise BundleError(f"{MANIFEST_NAME}: must hold one JSON object")
    version = content.get("format_version")
    if type(version) is not int:
        raise BundleError(f"{MANIFEST_NAME}: format_version must be an integer")
    return version


class _Object(dict[str, object]):
    """A JSON object whose keys were found to be unique."""


def _unique_keys(pairs: list[tuple[str, object]]) -> _Object:
    content = _Object(pairs)
    if len(content) > _MAX_KEYS:
        raise ValueError(f"{len(content)} keys in one object, at most {_MAX_KEYS} are read")
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {repeated[:80]!r} stands twice")
    return content


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _check_format(version: int) -> None:
    if version > FORMAT_VERSION:
        raise BundleError(
            f"{MANIFEST_NAME}: format_version {version} is newer than {FORMAT_VERSION}, the newest "
            "that this version reads; update dcae-export"
        )
    if version < 1:
        raise BundleError(f"{MANIFEST_NAME}: format_version {version} does not exist")


def _raise_in_one_line(error: ValidationError) -> NoReturn:
    if error.error_count() > _MAX_ERRORS:
        raise BundleError(f"{MANIFEST_NAME}: {error.error_count()} errors") from None
    details = error.errors(include_url=False, include_input=False)
    for detail in details:
        if detail.get("ctx", {}).get("pattern") == RELATIVE_PATH_PATTERN:
            raise RefusedError(
                f"{MANIFEST_NAME}: {_location(detail['loc'])} is no plain relative path inside the bundle"
            ) from error
    first = details[0]
    expectation = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    where = _location(first["loc"])
    raise BundleError(f"{MANIFEST_NAME}: {where}: {expectation}{more}") from error


def _location(keys: Sequence[int | str]) -> str:
    text = ".".join(str(key) for key in keys)[:200] or "content"
    # The keys are the file's own words: a line break in one must not forge a second message.
    return text if text.isprintable() else repr(text)
