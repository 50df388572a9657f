"""Any flipped byte in any listed file is found (P6)."""

from pathlib import Path

import pytest
from bundle_factory import write_tiny_bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from dcae_export.bundle.reader import Bundle
from dcae_export.errors import BundleError, RefusedError


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("flips") / "bundle")


@settings(max_examples=50, deadline=None, database=None)
@given(st.data())
def test_any_flipped_byte_is_found(bundle: Path, data: st.DataObject) -> None:
    path = bundle / data.draw(st.sampled_from(sorted(Bundle.open(bundle).manifest.files)))
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    damage = data.draw(st.integers(1, 255))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ damage]) + whole[at + 1 :])
    try:
        with pytest.raises((RefusedError, BundleError)):
            Bundle.open(bundle).verify()
    finally:
        path.write_bytes(whole)


@settings(max_examples=30, deadline=None, database=None)
@given(st.data())
def test_any_truncated_file_is_found_at_opening(bundle: Path, data: st.DataObject) -> None:
    path = bundle / data.draw(st.sampled_from(sorted(Bundle.open(bundle).manifest.files)))
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    try:
        with pytest.raises(BundleError):
            Bundle.open(bundle)
    finally:
        path.write_bytes(whole)
