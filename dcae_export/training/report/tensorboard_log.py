"""The losses and samples of a run, for TensorBoard."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from dcae_export.training.engine.events import StepDone


class TensorBoardLog:
    """Event files in a folder; what an earlier process wrote from ``first_step`` on is hidden by TensorBoard."""

    def __init__(self, folder: Path, *, first_step: int) -> None:
        self._writer = SummaryWriter(log_dir=str(folder), purge_step=first_step)

    def add_step(self, event: StepDone) -> None:
        """Add the losses, gradient norms, learning rate and speed of a step."""
        scalars = {f"loss/{name}": value for name, value in event.losses.items()}
        scalars |= {f"gradient_norm/{name}": norm for name, norm in event.gradient_norms.items()}
        scalars["learning_rate"] = event.learning_rate
        scalars["samples_per_second"] = event.samples_per_second
        scalars["skipped"] = event.skipped
        for tag, value in scalars.items():
            self._writer.add_scalar(tag, value, event.step)  # pyright: ignore[reportUnknownMemberType]

    def add_sheet(self, step: int, sheet: NDArray[np.uint8]) -> None:
        """Add a sheet of samples, (height, width, 3) RGB."""
        self._writer.add_image(  # pyright: ignore[reportUnknownMemberType]
            "samples", sheet, step, dataformats="HWC"
        )

    def close(self) -> None:
        """Write what is held back, and close the file."""
        self._writer.close()
