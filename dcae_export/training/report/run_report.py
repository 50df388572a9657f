"""What a run leaves to look at, in its folder: losses, samples, and a plot when it is done."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dcae_export.pictures.picture_file import write_picture
from dcae_export.training.engine.events import Event, Sample, StepDone
from dcae_export.training.report.loss_log import LossLog
from dcae_export.training.report.sample_sheet import sample_sheet

if TYPE_CHECKING:
    from dcae_export.training.report.tensorboard_log import TensorBoardLog

LOSSES_NAME = "losses.csv"
PLOT_NAME = "losses.png"
SHEET_NAME = "samples.png"
SAMPLES_NAME = "samples"
TENSORBOARD_NAME = "tensorboard"


class RunReport:
    """Takes a run's events and writes them down.

    ``losses.csv`` gets a row for each step, ``tensorboard`` the same with the samples; ``samples/step-NNNNNN.png``
    are the sheets, of which ``samples.png`` is the newest. Leaving the context without an error draws
    ``losses.png``. What needs a package that is not installed is left out, and ``note`` is told so at the start.
    """

    def __init__(self, run: Path, *, note: Callable[[str], None]) -> None:
        self._run = run
        self._losses = LossLog(run / LOSSES_NAME)
        self._tensorboard: TensorBoardLog | None = None
        self._can_log, self._can_plot = (
            find_spec(package) is not None for package in ("tensorboard", "matplotlib")
        )
        if not self._can_log:
            note(f"tensorboard is not installed, so there is no {run / TENSORBOARD_NAME}")
        if not self._can_plot:
            note(f"matplotlib is not installed, so there will be no {run / PLOT_NAME}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._losses.close()
        if self._tensorboard is not None:
            self._tensorboard.close()
        if kind is None and self._can_plot:
            # Seconds to import, for the end of a run.
            from dcae_export.training.report.loss_plot import draw_losses  # noqa: PLC0415

            draw_losses(self._run / LOSSES_NAME, self._run / PLOT_NAME)

    def __call__(self, event: Event) -> None:
        """Write down what an event tells.

        Raises:
            InputError: A file cannot be written.
            ResourceError: The disk is full.
        """
        match event:
            case StepDone():
                self._losses.append(event)
                if (log := self._log(event.step)) is not None:
                    log.add_step(event)
            case Sample():
                self._write_sheet(event)
            case _:
                pass

    def _write_sheet(self, event: Sample) -> None:
        sheet = sample_sheet(event.images, event.reconstructions, step=event.step)
        folder = self._run / SAMPLES_NAME
        folder.mkdir(exist_ok=True)
        for target in (folder / f"step-{event.step:06d}.png", self._run / SHEET_NAME):
            write_picture(target, sheet, force=True)
        if (log := self._log(event.step)) is not None:
            log.add_sheet(event.step, sheet)

    def _log(self, step: int) -> "TensorBoardLog | None":
        if self._tensorboard is None and self._can_log:
            # Only where its package is there, which this module does without.
            from dcae_export.training.report.tensorboard_log import TensorBoardLog  # noqa: PLC0415

            self._tensorboard = TensorBoardLog(self._run / TENSORBOARD_NAME, first_step=step)
        return self._tensorboard
