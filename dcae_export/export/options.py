"""What a user can choose about an export."""

import re
from dataclasses import dataclass
from typing import Literal

from dcae_export.errors import UsageError
from dcae_export.export.precision import PrecisionName, check_precision
from dcae_export.export.target import TargetName

_SIZE = re.compile(r"(?P<width>[1-9][0-9]{0,5})(x(?P<height>[1-9][0-9]{0,5}))?")

SimplifierName = Literal["onnxsim", "onnxslim", "none"]


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) from ``512``, which is square, or ``WIDTHxHEIGHT``.

    Raises:
        ValueError: It is neither.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("a size is 512 for a square, or WIDTHxHEIGHT as in 2048x1024")
    width = int(match["width"])
    return int(match["height"] or width), width


def latent_grid(size: tuple[int, int], downsample: int) -> tuple[int, int]:
    """(rows, columns) of the latent of a picture of ``size`` (height, width) in pixels.

    Raises:
        UsageError: A side is no multiple of ``downsample``; the message names the nearest that are.
    """
    for side in size:
        if side <= 0 or side % downsample:
            below = max(side // downsample, 1) * downsample
            raise UsageError(
                f"size {side} is no multiple of {downsample}; "
                f"the nearest are {below} and {below + downsample}"
            )
    return size[0] // downsample, size[1] // downsample


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportOptions:
    """Options of an export.

    ``precision`` is that of the graphs' inside: their inputs and outputs are the same in every one.
    ``size`` is (height, width) in pixels, None for graphs that take any size. ``batch`` goes with a size.
    ``image_io`` puts uint8 NHWC pictures in and out of the graphs. ``single_file`` keeps weights inside the
    .onnx files. ``interpolate_positions`` is the size, as ``size``, for which a transformer's learned positions are
    stretched; None leaves them.
    """

    target: TargetName = "generic"
    precision: PrecisionName = "fp32"
    size: tuple[int, int] | None = None
    batch: int | None = None
    image_io: bool = False
    simplifier: SimplifierName = "onnxsim"
    single_file: bool = False
    interpolate_positions: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        check_precision(self.precision, self.target)
        if self.batch is not None and self.size is None:
            raise UsageError("a batch size goes with --size; a dynamic graph takes any batch")
        if self.batch is not None and self.batch < 1:
            raise UsageError(f"batch {self.batch}: at least one picture at a time")

    def grid(self, downsample: int) -> tuple[int, int, int] | None:
        """(batch, height, width) on the latent grid, or None for dynamic graphs.

        Raises:
            UsageError: The size is no multiple of ``downsample``; the message names the nearest that are.
        """
        if self.size is None:
            return None
        return (self.batch or 1, *latent_grid(self.size, downsample))
