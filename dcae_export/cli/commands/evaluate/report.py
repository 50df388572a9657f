"""An evaluation from its start to what it tells: the course it takes, and its result as text, JSON and a page."""

from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcae_export import __version__
from dcae_export.cli.console import print_json, print_note, print_table
from dcae_export.cli.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from dcae_export.evaluation.processes import JoinedProcesses
    from dcae_export.evaluation.result import Figure, Result
    from dcae_export.evaluation.share import Course


@contextmanager
def course_of(
    stage: str, *, items: int, processes: "JoinedProcesses", out: Path | None, restart: bool
) -> "Generator[Course]":
    """The course of an evaluation, whose main process shows how far it is."""
    from dcae_export.evaluation.share import Course

    if not processes.is_main:
        yield Course(processes=processes, out=out, restart=restart, on_progress=_ignore)
        return
    with Progress(stage, steps=len(processes.share(items))) as progress:
        yield Course(processes=processes, out=out, restart=restart, on_progress=progress.advance)


def preparing(processes: "JoinedProcesses") -> AbstractContextManager[object]:
    """Show in the main process that pictures are looked for and networks loaded."""
    return Progress("preparing") if processes.is_main else nullcontext()


def check_html(html: Path | None, *, force: bool) -> None:
    """Check before the work that the page can be written.

    Raises:
        InputError: It exists and force is not given, or there is no such folder.
    """
    from dcae_export.files.whole_file import check_target

    if html is not None:
        check_target(html, force=force)


def versions() -> dict[str, str]:
    """What figures depend on beside weights and pictures."""
    import torch

    return {"dcae-export": __version__, "PyTorch": str(torch.__version__)}


def tell(result: "Result", *, html: Path | None, force: bool, as_json: bool) -> None:
    """Print a result, and write it as a page."""
    if html is not None:
        # Here, as jinja2 is needed for the page alone.
        from dcae_export.evaluation.html_report import write_html

        write_html(result, html, force=force)
    if as_json:
        print_json(result.as_json())
        return
    print_table(
        ("figure", "value", "pictures", "published", ""),
        [_row(figure) for figure in result.figures],
    )
    if result.settings.get("left out", "none") != "none":
        print_note(f"left out: {result.settings['left out']}; --json lists all settings")
    tell_shortfall(result.settings)
    if html is not None:
        click.echo(str(html))


def tell_shortfall(settings: "Mapping[str, str]") -> None:
    """Say where fewer pictures were measured than ``--count`` asked for."""
    from dcae_export.evaluation.pictures import SHORTFALL

    if SHORTFALL in settings:
        print_note(f"--count: {settings[SHORTFALL]}")


def _row(figure: "Figure") -> tuple[str, ...]:
    name = f"{figure.name}, {figure.unit}" if figure.unit else figure.name
    published = figure.published
    beside = "" if published is None else f"{published.value} ({published.setting})"
    unconfirmed = "" if published is None or published.confirmed else "published: not confirmed"
    notes = "; ".join(part for part in (figure.note, unconfirmed) if part)
    return name, _digits(figure.value), str(figure.count), beside, notes


def _digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _ignore(_: int) -> None:
    """Leave showing to the main process."""
