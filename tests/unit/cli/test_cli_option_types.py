"""Sizes of pictures and of memory on the command line."""

import click
import pytest

from dcae_export.cli.option_types import Bytes, Number, Size, WholeNumber


@pytest.mark.parametrize(
    ("text", "expected"),
    [("8GB", 8 * 10**9), ("512MiB", 2**29), ("1.5 GiB", 3 * 2**29), ("20kb", 20_000)],
)
def test_memory_is_a_number_with_its_unit(text, expected):
    assert Bytes().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["1.5", "one", "", "1e3"])
def test_what_is_no_whole_number_is_told_that_one_is_expected(text):
    with pytest.raises(click.BadParameter, match=f"'{text}' is not a valid whole number"):
        WholeNumber(min=0).convert(text, None, None)


def test_numbers_have_bounds():
    assert WholeNumber(min=0).convert("0", None, None) == 0
    assert Number(min=0, max=1, min_open=True).convert("1", None, None) == 1.0
    with pytest.raises(click.BadParameter, match="'a' is not a valid number"):
        Number(min=0).convert("a", None, None)
    for number in (WholeNumber(min=1), Number(min=0, min_open=True)):
        with pytest.raises(click.BadParameter, match="not in the range"):
            number.convert("0", None, None)


@pytest.mark.parametrize("text", ["8", "GB", "-1GB", "8 gigabytes"])
def test_memory_without_a_unit_is_refused(text):
    with pytest.raises(click.BadParameter, match="as in 8GB"):
        Bytes().convert(text, None, None)


def test_a_size_is_height_and_width():
    assert Size().convert("512", None, None) == (512, 512)
    assert Size().convert("2048x1024", None, None) == (1024, 2048)
    with pytest.raises(click.BadParameter, match="512 for a square"):
        Size().convert("0", None, None)
