"""Draw the losses of a run."""

from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from dcae_export.files.whole_file import whole_file
from dcae_export.training.report.loss_log import read_losses

# The running mean is over this share of the steps: noise goes, a bend stays.
_WINDOWS: Final = 50


def draw_losses(log: Path, target: Path) -> bool:
    """Draw each loss of a log over the steps, with its running mean, as PNG; False where the log has none.

    Raises:
        InputError: The log cannot be read, or the picture not be written.
        ResourceError: The disk is full.
    """
    curves = {name: points for name, points in read_losses(log).items() if points}
    if not curves:
        return False
    figure = Figure(figsize=(8, 1 + 2 * len(curves)), layout="constrained")
    rows = figure.subplots(len(curves), sharex=True, squeeze=False)
    for (axes,), (name, points) in zip(rows, curves.items(), strict=True):
        steps, values = np.array(points).T
        window = max(1, len(steps) // _WINDOWS)
        means = np.convolve(values, np.full(window, 1 / window), mode="valid")
        axes.plot(steps, values, color="tab:blue", linewidth=0.6, alpha=0.4)
        axes.plot(steps[window - 1 :], means, color="tab:blue", linewidth=1.6)
        axes.set_ylabel(name)
        axes.grid(visible=True, alpha=0.3)
    rows[-1, 0].set_xlabel("step")
    with whole_file(target, force=True) as file:
        figure.savefig(file, format="png", dpi=150)  # pyright: ignore[reportUnknownMemberType]
    return True
