"""What commands print: JSON and tables on stdout, notes on stderr."""

import json
import math
import sys
from collections.abc import Mapping, Sequence

import click

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object instead of text."
)


def print_json(content: Mapping[str, object]) -> None:
    """Print one JSON object; floats in it must be finite."""
    click.echo(json.dumps(content, indent=2, allow_nan=False))


def finite(value: float) -> float | None:
    """The value as JSON has it, which knows neither infinity nor NaN."""
    return value if math.isfinite(value) else None


def print_note(message: str) -> None:
    """Print one line for the person, not for the pipe."""
    click.echo(one_line(message), err=True)


def one_line(message: str) -> str:
    """The line that a note is printed as."""
    # A name of a file may hold line breaks and escape sequences, which are not to reach the terminal.
    return f"dcae: {_printable(' '.join(message.split()))}"


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns: as wide as the terminal, or as wide as they are where there is none."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Header and cells are texts: plain strings would be read as markup.
    header, *body = (
        [Text(_printable(cell), overflow="fold") for cell in row] for row in (columns, *rows)
    )
    unbounded = sum(max(len(row[at]) for row in (header, *body)) + 2 for at in range(len(header)))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else unbounded)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in header:
        table.add_column(title)
    for row in body:
        table.add_row(*row)
    with console.capture() as capture:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))


def _printable(text: str) -> str:
    """Text as one line that cannot drive the terminal: names in files may hold line breaks and escape sequences."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def size_text(num_bytes: int) -> str:
    """A number of bytes as a person reads it."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if num_bytes >= unit:
            return f"{num_bytes / unit:.1f} {name}"
    return f"{num_bytes} bytes"
