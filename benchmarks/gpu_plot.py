"""The GPU benchmark as one drawing: how long one image takes, by what runs it."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.gpu import NAMES, PARTS, SEPARATOR
from benchmarks.results import read_document

_WIDTH_OF_A_PANEL, _HEIGHT_OF_A_ROW = 5.0, 0.2
# Of small print, as many as stand in a panel's width.
_LETTERS_OF_A_PANEL = 75


def plot(results: str, path: str) -> dict[str, object]:
    """Draw a results file: a row for each network, a panel for each size; what was not run says so."""
    mpl.use("agg")
    document = read_document(Path(results))
    panels: dict[str, dict[int, dict[str, Mapping[str, object]]]] = {}
    for part in PARTS:
        for key, entry in document.get(part, {}).items():
            case, _, contestant = key.partition(SEPARATOR)
            network, _, side = case.rpartition(" ")
            sides = panels.setdefault(network, {})
            sides.setdefault(int(side), {})[contestant] = entry["cell"]
    columns = sorted({side for sides in panels.values() for side in sides}) or [0]
    most = max((len(cells) for sides in panels.values() for cells in sides.values()), default=1)
    rows = max(len(panels), 1)
    figure = Figure(
        figsize=(_WIDTH_OF_A_PANEL * len(columns), _HEIGHT_OF_A_ROW * rows * (most + 4) + 1.5),
        layout="constrained",
    )
    grid = figure.subplots(rows, len(columns), squeeze=False)
    for row, (network, sides) in zip(grid, panels.items(), strict=False):
        for axes, side in zip(row, columns, strict=True):
            _draw(axes, f"{network} {side}", sides.get(side, {}))
    figure.suptitle("Milliseconds for one image, median")
    letters = _LETTERS_OF_A_PANEL * len(columns)
    figure.supxlabel(_setting(document, letters=letters), fontsize="small")
    figure.savefig(path, dpi=100)
    return {}


def _draw(axes: Axes, case: str, cells: Mapping[str, Mapping[str, object]]) -> None:
    names = [name for name in NAMES if name in cells]
    values = [1000 * float(str(cells[name].get("latency_seconds", 0))) for name in names]
    bars = axes.barh(names, values, color="#3b6ea5")
    labels = [f"{value:.2f}" if value else "not run" for value in values]
    axes.bar_label(bars, labels, padding=3, fontsize="x-small")
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.tick_params(labelsize="x-small")
    axes.set_title(case, fontsize="small", loc="left")


def _setting(document: Mapping[str, Mapping[str, object]], *, letters: int) -> str:
    """The device, its driver and the versions, as every figure carries them."""
    machine, versions = document["machine"], document["versions"]
    device = [
        f"{name.removeprefix('gpu_').removeprefix('library_').replace('_', ' ')} {value}"
        for name, value in machine.items()
        if name.startswith(("gpu", "library_"))
    ] or [f"no GPU: {machine['cpu']}"]
    libraries = [f"{name} {value}" for name, value in versions.items()]
    lines = (", ".join(device), ", ".join(libraries))
    return "\n".join(textwrap.fill(line, letters) for line in lines)
