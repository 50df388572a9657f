"""Types of options that several commands have."""

import re

import click

from dcae_export.errors import UsageError
from dcae_export.export.options import parse_size
from dcae_export.runtime.provider_options import AxisProfile

_AXIS_PROFILE = re.compile(r"([a-z]+)=([0-9]{1,6})(?::([0-9]{1,6}):([0-9]{1,6}))?")
_BYTES = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(kB|MB|GB|KiB|MiB|GiB)", re.IGNORECASE)
_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


class WholeNumber(click.IntRange):
    """A whole number between bounds; click's own name for it is no word for what is expected."""

    name = "whole number"


class Number(click.FloatRange):
    """A number between bounds, as ``WholeNumber``."""

    name = "number"


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


class AxisProfileType(click.ParamType[AxisProfile]):
    """AXIS=MIN:BEST:MAX, or AXIS=N for one value."""

    name = "profile"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> AxisProfile:
        if isinstance(value, AxisProfile):
            return value
        match = _AXIS_PROFILE.fullmatch(str(value))
        if match is None:
            self.fail(f"{value}: a range as in batch=1:4:8 or height=16", param, ctx)
        axis, least, best, most = match.groups()
        try:
            return AxisProfile(
                axis=axis, least=int(least), best=int(best or least), most=int(most or least)
            )
        except UsageError as error:
            self.fail(str(error), param, ctx)
