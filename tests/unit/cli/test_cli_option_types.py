"""Sizes of pictures and of memory on the command line."""

import click
import pytest

from dcae_export.cli.option_types import Bytes, Size


@pytest.mark.parametrize(
    ("text", "expected"),
    [("8GB", 8 * 10**9), ("512MiB", 2**29), ("1.5 GiB", 3 * 2**29), ("20kb", 20_000)],
)
def test_memory_is_a_number_with_its_unit(text, expected):
    assert Bytes().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["8", "GB", "-1GB", "8 gigabytes"])
def test_memory_without_a_unit_is_refused(text):
    with pytest.raises(click.BadParameter, match="as in 8GB"):
        Bytes().convert(text, None, None)


def test_a_size_is_height_and_width():
    assert Size().convert("512", None, None) == (512, 512)
    assert Size().convert("2048x1024", None, None) == (1024, 2048)
    with pytest.raises(click.BadParameter, match="512 for a square"):
        Size().convert("0", None, None)
