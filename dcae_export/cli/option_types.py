"""Types of options that several commands have."""

import re

import click

from dcae_export.export.options import parse_size

_BYTES = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(kB|MB|GB|KiB|MiB|GiB)", re.IGNORECASE)
_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


class Size(click.ParamType[tuple[int, int]]):
    """512 for a square, or WIDTHxHEIGHT: (height, width)."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value  # pyright: ignore[reportUnknownVariableType] - converted before
        try:
            return parse_size(str(value))
        except ValueError as error:
            self.fail(f"{value}: {error}", param, ctx)


class Bytes(click.ParamType[int]):
    """A number of bytes with its unit."""

    name = "bytes"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        match = _BYTES.fullmatch(str(value))
        if match is None:
            self.fail(f"{value}: a size as in 8GB or 512MiB", param, ctx)
        return int(float(match[1]) * _UNITS[match[2].lower()])
