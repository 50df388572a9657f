"""How far a training is: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from dcae_export.cli.console import one_line, print_note
from dcae_export.training.engine.events import (
    CheckpointUnusable,
    Event,
    Note,
    StepDone,
    StepSkipped,
)

if TYPE_CHECKING:
    from rich.progress import Progress as Display
    from rich.progress import TaskID

# Where nobody watches, a line for each of these, so that a log of days stays readable.
_INTERVAL_S = 30.0


class TrainingProgress:
    """Takes a run's events and shows them on stderr; ``last`` is the newest step that was done."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.last: StepDone | None = None
        self._clock = clock
        self._next_line_s = 0.0
        self._display: tuple[Display, TaskID] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._display is not None:
            self._display[0].stop()
            self._display = None

    def __call__(self, event: Event) -> None:
        """Show what an event tells."""
        match event:
            case StepDone():
                self.last = event
                self._show(event)
            case StepSkipped():
                self.note(
                    f"step {event.step} skipped: {_not_finite(event)} ({event.in_a_row} in a row)"
                )
            case CheckpointUnusable():
                self.note(f"{event.path}: {event.reason}; an older checkpoint is used")
            case Note():
                self.note(event.text)
            case _:
                pass

    def note(self, message: str) -> None:
        """Print a line, above the bar where there is one."""
        if self._display is None:
            print_note(message)
            return
        from rich.text import Text

        self._display[0].console.print(Text(one_line(message)))

    def _show(self, event: StepDone) -> None:
        if not sys.stderr.isatty():
            now_s = self._clock()
            if now_s >= self._next_line_s or event.step == event.steps:
                self._next_line_s = now_s + _INTERVAL_S
                print_note(f"step {event.step}/{event.steps}: {describe(event)}")
            return
        if self._display is None:
            self._display = _open_display(event)
        display, task = self._display
        display.update(task, completed=event.step, total=event.steps, status=describe(event))


def describe(event: StepDone) -> str:
    """The losses, the speed and the time that is left."""
    losses = ", ".join(f"{name} {value:.4g}" for name, value in event.losses.items())
    left = timedelta(seconds=round(event.seconds_left))
    return f"{losses}, {event.samples_per_second:.3g} samples/s, {left} left"


def _not_finite(event: StepSkipped) -> str:
    values = event.losses | {f"gradient of {name}": n for name, n in event.gradient_norms.items()}
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def _open_display(event: StepDone) -> "tuple[Display, TaskID]":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Display

    display = Display(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}", markup=False),
        console=Console(file=sys.stderr),
        transient=True,
        # What a command prints meanwhile stays where it sends it.
        redirect_stdout=False,
        redirect_stderr=False,
    )
    task = display.add_task("training", total=event.steps, completed=event.step, status="")
    display.start()
    return display, task
