"""An evaluation as one page that needs nothing but itself: no script, no network, no other file."""

import base64
from importlib.resources import files
from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined

from dcae_export.errors import InputError, PictureError
from dcae_export.evaluation.histogram_plot import FRAME, draw_histogram
from dcae_export.evaluation.result import Figure, Result
from dcae_export.files.whole_file import whole_file

# Of a figure without a published one: PSNR to 0.01 dB, SSIM and LPIPS to a few 0.0001.
_SIGNIFICANT_DIGITS: Final = 4
_PNG: Final = b"\x89PNG\r\n\x1a\n"

_HEADINGS: Final = {
    "reconstruction": ("Reconstruction", "Picture, reconstruction, error"),
    "generation": ("Generation", "Samples"),
    "clip": ("CLIP score", "Pictures"),
}


def write_html(result: Result, path: Path, *, force: bool = False) -> None:
    """Write the page: figures beside the published ones, distributions, sheets, settings.

    Args:
        result: What the page shows. Its sheets are embedded byte for byte.
        path: The target.
        force: Whether an existing file is replaced.

    Raises:
        InputError: A sheet cannot be read, or the target exists or cannot be written.
        PictureError: A sheet is no PNG.
        ResourceError: The disk is full.
    """
    heading, sheets_heading = _HEADINGS[result.kind]
    # A file of its own: an editor sees the page, and no line of it is a string in Python.
    template = files("dcae_export.evaluation").joinpath("report.html.jinja")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(template.read_text(encoding="utf-8")).render(
        result=result,
        heading=heading,
        sheets_heading=sheets_heading,
        shown=_shown,
        frame=FRAME,
        plots=[(name, draw_histogram(values)) for name, values in result.distributions.items()],
        sheets=[(sheet.stem, _base64(sheet)) for sheet in result.pictures],
    )
    with whole_file(path, force=force) as file:
        # The name of a file that is no UTF-8 holds surrogates, which no page can.
        file.write(page.encode("utf-8", errors="backslashreplace"))


def _shown(figure: Figure) -> str:
    """The value with the decimals of the published one, else in four significant digits."""
    if figure.value is None:
        return "not measured"
    if figure.published is None:
        return f"{figure.value:#.{_SIGNIFICANT_DIGITS}g}".rstrip(".")
    return f"{figure.value:.{figure.published.decimals}f}"


def _base64(sheet: Path) -> str:
    try:
        data = sheet.read_bytes()
    except OSError as error:
        raise InputError(f"{sheet}: cannot be read: {error.strerror}; evaluate again") from error
    if not data.startswith(_PNG):
        raise PictureError(f"{sheet}: is no PNG; give a sheet that this package wrote")
    return base64.b64encode(data).decode("ascii")
