"""The options that all evaluations share."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import click

from dcae_export.cli.option_types import WholeNumber
from dcae_export.errors import UsageError
from dcae_export.extras import install_command

Function = TypeVar("Function", bound=Callable[..., None])

DEVICES = ("cpu", "cuda")
# What each of them imports; what single metrics and the page need stands at their commands.
_PACKAGES = ("torch", "safetensors", "PIL")

inception_help = "Weights of FID's Inception: pt_inception-2015-12-05-6726825d.pth."


def device_option(function: Function) -> Function:
    """Add ``--device``."""
    return click.option(
        "--device",
        type=click.Choice(DEVICES),
        default="cpu",
        show_default=True,
        help="Where the metrics' networks run.",
    )(function)


def batch_option(function: Function) -> Function:
    """Add ``--batch-size``."""
    return click.option(
        "--batch-size",
        type=WholeNumber(min=1),
        default=8,
        show_default=True,
        help="Pictures at a time.",
    )(function)


def size_option(function: Function) -> Function:
    """Add ``--size``."""
    return click.option(
        "--size",
        type=WholeNumber(min=1),
        default=512,
        show_default=True,
        metavar="PX",
        help="Side of the crop that is taken of each picture.",
    )(function)


def count_option(function: Function) -> Function:
    """Add ``--count``, of pictures that are there."""
    return click.option(
        "--count",
        type=WholeNumber(min=1),
        help="So many, spread evenly over the folder.  [default: all of them]",
    )(function)


def report_options(function: Function) -> Function:
    """Add ``--out``, ``--restart``, ``--html`` and ``--force``."""
    for option in (
        click.option("--force", is_flag=True, help="Replace an existing FILE of --html."),
        click.option(
            "--html",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Write the result as one page.",
        ),
        restart_option,
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="Keep how far it is, to go on after an interruption, and pictures.",
        ),
    ):
        function = option(function)
    return function


restart_option = click.option(
    "--restart", is_flag=True, help="Begin anew where an evaluation is kept."
)


def require_packages(*more: str | None, html: Path | None = None) -> None:
    """Fail where a package that this evaluation needs is missing, before seconds are spent on PyTorch.

    Args:
        more: Those that not every evaluation needs; None for one that this one does not.
        html: The page, which needs a package of its own.

    Raises:
        UsageError: One is missing.
    """
    for name in (*_PACKAGES, *more, None if html is None else "jinja2"):
        if name is not None and find_spec(name) is None:
            raise UsageError(f"{name} is not installed; {install_command('evaluate')}")
