"""Tables of results, for a terminal or as Markdown."""

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.contestants import BUNDLE, EVERYONE
from benchmarks.demo_generation import (
    CLASSES,
    GENERATED_GOAL,
    HELD_OUT_GOAL,
    NEAR_PERCENTILE,
)
from benchmarks.demo_reconstruction import (
    BEFORE,
    DRAWN_GOAL_DB,
    JPEG,
    PHOTOGRAPH_GOAL_DB,
    RECONSTRUCTED,
    THUMBNAIL,
)
from benchmarks.gpu import NAMES, PARTS, SEPARATOR
from benchmarks.runtimes import CPP, NETWORK, PYTHON
from benchmarks.study import (
    ADAPTATION,
    BICUBIC,
    FULL_GAN,
    GOES_ON,
    NO_SHORTCUTS,
    REFINEMENT,
    SHORTCUTS,
)
from dcae_export.errors import UsageError

Entry = Mapping[str, object]
# What is worth a column, in this order.
_NAMES = tuple(one.name for one in EVERYONE)
DTYPES = ("fp32", "fp16", "bf16")
NOT_RUN = "not run"
_OTHERS = tuple(one.name for one in EVERYONE if one is not BUNDLE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows of text under a title; ``notes`` stand below."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def tables(document: Mapping[str, object]) -> list[Table]:
    """The tables of a results file.

    Raises:
        UsageError: It is no such file.
    """
    makers = {
        "autoencoder": _autoencoder,
        "export": _export,
        "passes": _passes,
        "forms": _forms,
        "denoiser": _denoiser,
        "sessions": _sessions,
        "runtimes": _runtimes,
        "training": _training,
        "engine": _engine,
        "study": _study,
        "diffusion_training": _diffusion_training,
        "distribution": _distribution,
        "headline": _headline,
        "gpu": _gpu,
        "flow": _flow,
        "generation": _generation,
        "demo_reconstruction": _demo_reconstruction,
        "demo_generation": _demo_generation,
    }
    benchmark = document.get("benchmark")
    if benchmark not in makers:
        raise UsageError("no results of a benchmark; name a JSON file that one of them wrote")
    return [
        _setting(document),
        *(table for table in makers[str(benchmark)](document) if table.rows),
    ]


def print_tables(document: Mapping[str, object], console: Console) -> None:
    """Print for a person at a terminal."""
    for table in tables(document):
        rich = RichTable(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
        for place, column in enumerate(table.columns):
            rich.add_column(column, justify="right" if place else "left", overflow="fold")
        for row in table.rows:
            rich.add_row(*row)
        console.print(rich)
        for note in table.notes:
            console.print(note, markup=False, highlight=False)


def markdown(document: Mapping[str, object]) -> str:
    """The same as Markdown."""
    return "\n".join(line for table in tables(document) for line in _markdown(table))


def _markdown(table: Table) -> Iterator[str]:
    yield from (f"**{table.title}**", "")
    yield "| " + " | ".join(table.columns) + " |"
    yield "|---" + "|---:" * (len(table.columns) - 1) + "|"
    for row in table.rows:
        yield "| " + " | ".join(row) + " |"
    yield ""
    for note in table.notes:
        yield from (note, "")


def _setting(document: Mapping[str, object]) -> Table:
    machine, versions = _entry(document["machine"]), _entry(document["versions"])
    return Table(
        title="Measured on",
        columns=("", ""),
        rows=[
            (name.replace("_", " "), str(value)) for name, value in {**machine, **versions}.items()
        ],
    )


def _autoencoder(document: Mapping[str, object]) -> Iterator[Table]:
    speed, memory = _cells(document, "speed"), _cells(document, "memory")
    yield _contest("Median seconds (times the bundle's)", speed, "median", unit=1)
    yield _contest("Peak memory, GiB (times the bundle's)", memory, "peak_bytes", unit=2**30)
    yield Table(
        title="Peak memory of the bundle as a share of the others'",
        columns=("", *_OTHERS),
        rows=[
            (key, *(_inverse(_entry(cell.get(name, {}))) for name in _OTHERS))
            for key, cell in memory.items()
        ],
    )
    yield _contest("Seconds to open, imports included", memory, "open_seconds", unit=1)
    yield _contest("Seconds of the first run", memory, "run_seconds", unit=1)
    large = _cells(document, "large")
    yield _contest("One pass at a large size: seconds", large, "run_seconds", unit=1)
    yield _contest("One pass at a large size: peak memory, GiB", large, "peak_bytes", unit=2**30)


def _contest(title: str, cells: Mapping[str, Entry], value: str, *, unit: int) -> Table:
    """One row for each case, one column for each contestant that takes part in any."""
    names = [name for name in _NAMES if any(name in cell for cell in cells.values())]
    rows = [
        (key, *(_contested(_entry(cell.get(name, {})), value, unit=unit) for name in names))
        for key, cell in cells.items()
    ]
    reasons = {
        f"{key}: {name} not run: {_entry(cell[name])['not_run']}"
        for key, cell in cells.items()
        for name in names
        if "not_run" in _entry(cell.get(name, {}))
    }
    return Table(title=title, columns=("", *names), rows=rows, notes=sorted(reasons))


def _contested(entry: Entry, value: str, *, unit: int) -> str:
    if value not in entry:
        return "not run" if "not_run" in entry else "-"
    text = f"{_number(entry[value]) / unit:.3f}"
    # The ratio belongs to medians and peaks.
    return f"{text} ({_number(entry['ratio']):.2f})" if not value.endswith("_seconds") else text


def _inverse(entry: Entry) -> str:
    return f"{1 / _number(entry['ratio']):.2f}" if "ratio" in entry else "-"


def _export(document: Mapping[str, object]) -> Iterator[Table]:
    cells = _cells(document, "export")
    yield Table(
        title="Exports from random weights",
        columns=("", "seconds", "peak, GiB", "simplifier's peak, GiB", "on disk, GB"),
        rows=[
            (
                variant,
                f"{_number(cell['seconds']):.1f}",
                f"{_number(cell['peak_bytes']) / 2**30:.2f}",
                f"{_number(cell['simplifier_peak_bytes']) / 2**30:.2f}",
                f"{_number(cell['disk_bytes']) / 1e9:.2f}",
            )
            for variant, cell in cells.items()
        ],
    )
    stages = {variant: _entry(cell["stages"]) for variant, cell in cells.items()}
    names = list(dict.fromkeys(name for column in stages.values() for name in column))
    yield Table(
        title="Seconds of each stage",
        columns=("", *stages),
        rows=[
            (name, *(f"{_number(column.get(name, 0)):.1f}" for column in stages.values()))
            for name in names
        ],
    )
    yield Table(
        title="Opening a graph, imports not counted",
        columns=("", "seconds", "of them checking", "peak, GiB"),
        rows=[
            (
                f"{variant} {name}",
                f"{_number(opened['seconds']):.2f}",
                f"{_number(opened['checking_seconds']):.2f}",
                f"{_number(opened['peak_bytes']) / 2**30:.2f}",
            )
            for variant, cell in cells.items()
            for name, opened in _entries(cell["opening"]).items()
        ],
    )


def _passes(document: Mapping[str, object]) -> Iterator[Table]:
    graphs = _cells(document, "nodes")
    sides = ("bundle", "plain")
    counts = {key: {side: _entry(cell[side]) for side in sides} for key, cell in graphs.items()}
    yield Table(
        title="Nodes",
        columns=("", *sides),
        rows=[(key, *(str(_total(cell[side])) for side in sides)) for key, cell in counts.items()],
    )
    for key, cell in counts.items():
        operators = sorted({name for side in sides for name in cell[side]})
        yield Table(
            title=f"Operators of {key}",
            columns=("", *sides),
            rows=[(name, *(str(cell[side].get(name, 0)) for side in sides)) for name in operators],
        )
    for key, cell in _cells(document, "profile").items():
        total = _number(cell["seconds"])
        yield Table(
            title=f"Where the time of {key} goes: {total:.2f} s",
            columns=("", "calls", "seconds", "share"),
            rows=[
                (
                    name,
                    str(spent["calls"]),
                    f"{_number(spent['seconds']):.3f}",
                    f"{_number(spent['seconds']) / total:.1%}",
                )
                for name, spent in _entries(cell["operators"]).items()
            ],
        )


def _forms(document: Mapping[str, object]) -> Iterator[Table]:
    yield Table(
        title="Two forms of one block, milliseconds",
        columns=("changed / kept", "kept", "changed", "ratio"),
        rows=[
            (
                key,
                f"{1000 * _number(cell['kept_seconds']):.1f}",
                f"{1000 * _number(cell['changed_seconds']):.1f}",
                f"{_number(cell['ratio']):.2f}",
            )
            for key, cell in _cells(document, "forms").items()
        ],
    )


def _denoiser(document: Mapping[str, object]) -> Iterator[Table]:
    cells = _cells(document, "step")
    names = list(dict.fromkeys(name for cell in cells.values() for name in cell))
    yield Table(
        title="Median seconds of one step (times the bundle's)",
        columns=("", *names),
        rows=[
            (key, *(_contested(_entry(cell[name]), "median", unit=1) for name in names))
            for key, cell in cells.items()
        ],
    )


def _sessions(document: Mapping[str, object]) -> Iterator[Table]:
    for section, title in (
        ("options", "Two rows in one call, by the session's options"),
        ("rows", "One row, by the rows of a call"),
    ):
        yield Table(
            title=title,
            columns=("", section, "seconds", "peak, MiB"),
            rows=[
                (
                    key,
                    name,
                    f"{_number(entry['seconds']):.3f}",
                    f"{_number(entry['peak_bytes']) / 2**20:.0f}",
                )
                for key, cell in _cells(document, section).items()
                for name, entry in _entries(cell).items()
            ],
        )


def _runtimes(document: Mapping[str, object]) -> Iterator[Table]:
    sections = {name: _cells(document, name) for name in ("start", "steps", "picture", "files")}
    columns = ("", CPP, PYTHON, "times")
    yield Table(
        title="CPU seconds of a whole process",
        columns=columns,
        rows=[
            (key, *_beside(cell, "median", form=".3f"))
            for key, cell in {**sections["start"], **sections["picture"]}.items()
        ],
    )
    yield Table(
        title="CPU microseconds of one evaluation of a tiny network",
        columns=("", "by", "in all", "beside the network"),
        rows=[
            (key, name, *(f"{1e6 * part:.0f}" for part in (_number(entry["median"]), beside)))
            for key, cell in sections["steps"].items()
            for name, entry in _entries(cell).items()
            for beside in (_median_difference(entry, _entry(cell[NETWORK])),)
        ],
    )
    yield Table(
        title="Peak memory, MiB",
        columns=columns,
        rows=[
            (key, *_beside(cell, "peak_bytes", form=".0f", unit=2**20))
            for key, cell in sections["picture"].items()
        ],
    )
    yield Table(
        title="Files, MB",
        columns=("", "as built", "stripped"),
        rows=[
            (name, *(f"{_number(entry[part]) / 1e6:.2f}" for part in ("bytes", "stripped")))
            for cell in sections["files"].values()
            for name, entry in _entries(cell).items()
        ],
    )


def _beside(cell: Entry, value: str, *, form: str, unit: int = 1) -> tuple[str, str, str]:
    """The C++ runtime's figure, the Python one's, and how many times the first the second is."""
    cpp, python = (_entry(cell[name]) for name in (CPP, PYTHON))
    # Of times, by turns.
    ratio = python["ratio"] if value == "median" else _number(python[value]) / _number(cpp[value])
    texts = (format(_number(one[value]) / unit, form) for one in (cpp, python))
    return (*texts, f"{_number(ratio):.2f}")


def _median_difference(entry: Entry, base: Entry) -> float:
    """The median over turns of one's seconds less the other's in the same turn."""
    pairs = zip(_numbers(entry["seconds"]), _numbers(base["seconds"]), strict=True)
    return statistics.median(own - other for own, other in pairs)


def _training(document: Mapping[str, object]) -> Iterator[Table]:
    cells = _cells(document, "steps")
    yield Table(
        title="Optimizer steps of an autoencoder",
        columns=("", "a step, s", "last l1", "peak of steps, GiB", "peak of all, GiB"),
        rows=[
            (
                key,
                f"{min(_numbers(cell['step_seconds'])):.1f}",
                f"{_number(_entry(_last(cell['losses']))['l1']):.3f}",
                f"{_number(cell['steps_peak_bytes']) / 2**30:.2f}",
                f"{_number(cell['peak_bytes']) / 2**30:.2f}",
            )
            for key, cell in cells.items()
        ],
    )


def _diffusion_training(document: Mapping[str, object]) -> Iterator[Table]:
    yield Table(
        title="Optimizer steps of a diffusion transformer",
        columns=("", "a step, s", "last losses", "peak, GiB"),
        rows=[
            (
                key,
                f"{min(_numbers(cell['seconds'])):.2f}",
                ", ".join(
                    f"{n} {_number(x):.3f}" for n, x in _entry(_last(cell["losses"])).items()
                ),
                f"{_number(cell['peak_bytes']) / 2**30:.2f}",
            )
            for key, cell in _cells(document, "steps").items()
        ],
    )
    pairs = _cells(document, "pairs")
    yield Table(
        title="Times the images a second in training",
        columns=("", "here", "paper, H100, fp16"),
        rows=[
            (key, f"{_number(cell['speed_up']):.1f}", f"{_number(cell['published_on_h100']):.1f}")
            for key, cell in pairs.items()
        ],
    )
    yield Table(
        title="The same, of each training",
        columns=("", "batch", "images a second", "peak, GiB", "on"),
        rows=[
            (
                name,
                str(training["batch_size"]),
                f"{_number(training['images_per_second']):.3f}",
                f"{_number(training['peak_bytes']) / 2**30:.2f}",
                str(training["device"]),
            )
            for cell in pairs.values()
            for name, training in (
                (name, _entry(one)) for name, one in _entry(cell["trainings"]).items()
            )
        ],
    )


def _engine(document: Mapping[str, object]) -> Iterator[Table]:
    cells = _cells(document, "steps")
    names = list(dict.fromkeys(name for cell in cells.values() for name in cell))
    yield Table(
        title="Median seconds of a training step (times a plain loop's)",
        columns=("", *names),
        rows=[
            (key, *(_contested(_entry(cell[name]), "median", unit=1) for name in names))
            for key, cell in cells.items()
        ],
        notes=["Goal: within 5 %. Both end with weights of the same bits."],
    )


def _study(document: Mapping[str, object]) -> Iterator[Table]:
    cells = _entries(document.get("stages", {}))
    stages: dict[str, dict[str, Entry]] = {}
    for key, entry in cells.items():
        name, _, seed = key.partition(", seed ")
        stages.setdefault(name, {})[seed] = _entry(entry["cell"])
    sides = [str(_entry(_cells(document, "sizes")["study"])[side]) for side in ("low", "high")]
    low, high = sides
    figures = [(what, side) for what in ("psnr", "sharpness") for side in sides]
    yield Table(
        title="Held-out pictures: PSNR in dB, and sharpness, 1 where neighbouring pixels differ as in the picture",
        columns=("", "seeds", *(f"{what}, {side} px" for what, side in figures), "seconds"),
        rows=[
            (
                name,
                str(len(by_seed)) if name != BICUBIC else "-",
                *(_spread([_figure(cell, *of) for cell in by_seed.values()]) for of in figures),
                _spread([_number(cell.get("seconds", 0)) for cell in by_seed.values()]),
            )
            for name, by_seed in stages.items()
        ],
        notes=["Means over seeds, and their standard deviations."],
    )
    yield Table(
        title="Learning rates tried for the networks that start from scratch",
        columns=("", *(f"psnr, {side} px" for side in sides)),
        rows=[
            (name, *(f"{_figure(cell, 'psnr', side):.2f}" for side in sides))
            for name, cell in _cells(document, "trials").items()
        ],
        notes=["Each network's best, by the loss of training, is the one that it is trained with."],
    )
    yield Table(
        title="PSNR above bicubic's in dB, which can be compared between sizes",
        columns=("", *(f"{side} px" for side in sides), f"{high} px minus {low} px"),
        rows=[
            (name, *map(_spread, _above(stages[BICUBIC][""], by_seed.values(), sides)))
            for name, by_seed in stages.items()
            if name != BICUBIC
        ],
    )
    differences = (
        ("shortcuts minus none", SHORTCUTS, NO_SHORTCUTS, "psnr", low, low),
        ("phase 1: high minus low resolution", SHORTCUTS, SHORTCUTS, "psnr", high, low),
        ("phase 2 minus phase 1 that goes on", ADAPTATION, GOES_ON, "psnr", high, high),
        ("phase 2 minus phase 1 that goes on", ADAPTATION, GOES_ON, "psnr", low, low),
        ("full GAN minus phase 3", FULL_GAN, REFINEMENT, "psnr", low, low),
        ("full GAN minus phase 3", FULL_GAN, REFINEMENT, "sharpness", low, low),
        ("phase 3 minus phase 2", REFINEMENT, ADAPTATION, "psnr", low, low),
        ("phase 3 minus phase 2", REFINEMENT, ADAPTATION, "sharpness", low, low),
    )
    yield Table(
        title="Differences within a seed",
        columns=("", "of", "px", "difference", "seeds"),
        rows=[
            (
                text,
                what,
                px if px == other_px else f"{px}, {other_px}",
                _spread(found),
                str(len(found)),
            )
            for text, first, second, what, px, other_px in differences
            if (
                found := [
                    _figure(cell, what, px) - _figure(stages[second][seed], what, other_px)
                    for seed, cell in stages.get(first, {}).items()
                    if seed in stages.get(second, {})
                ]
            )
        ],
    )


def _above(bicubic: Entry, cells: Iterable[Entry], sides: list[str]) -> tuple[list[float], ...]:
    """By how much the cells' PSNR is above bicubic's: at both sides, and the second minus the first."""
    at_low, at_high = (
        [_figure(cell, "psnr", side) - _figure(bicubic, "psnr", side) for cell in cells]
        for side in sides
    )
    return at_low, at_high, [high - low for low, high in zip(at_low, at_high, strict=True)]


def _figure(cell: Entry, what: str, side: str) -> float:
    return _number(_entry(cell[what])[side])


def _spread(values: Sequence[float], form: str = ".2f") -> str:
    """The mean, and where there are several values their standard deviation."""
    mean = f"{statistics.fmean(values):{form}}"
    return f"{mean} \u00b1 {statistics.stdev(values):{form}}" if len(values) > 1 else mean


def _generation(document: Mapping[str, object]) -> Iterator[Table]:
    cells = _cells(document, "generation")
    yield Table(
        title="One picture from random weights",
        columns=("", "sampler", "a step, s", "sampling, s", "decoding, s", "peak, GiB"),
        rows=[
            (
                key,
                str(cell["sampler"]),
                f"{_number(cell['step_seconds']):.2f}",
                f"{_number(cell['sampling_seconds']):.1f}",
                f"{_number(cell['decoding_seconds']):.1f}",
                f"{_number(cell['peak_bytes']) / 2**30:.2f}",
            )
            for key, cell in cells.items()
            if "not_run" not in cell
        ],
        notes=[
            f"{key} not run: {cell['not_run']}" for key, cell in cells.items() if "not_run" in cell
        ],
    )


def _demo_reconstruction(document: Mapping[str, object]) -> Iterator[Table]:
    drawn, photographs = _cells(document, "drawn"), _cells(document, "photographs")
    if not (drawn and photographs):
        return
    for measure, title, form in (
        ("psnr", "PSNR in dB", ".2f"),
        ("ssim", "SSIM", ".3f"),
        ("gradient_error", "Gradient error (Sobel) in levels a pixel", ".2f"),
    ):
        yield _contestants(measure, title, form, drawn, photographs)
    jpegs = {key: _entry(cell["jpeg"]) for key, cell in drawn.items() if cell["jpeg"] is not None}
    yield Table(
        title="The JPEG files, of at most as many bytes as the latent in float16",
        columns=("", "bytes", "of", "quality", "pictures", "shrunk before"),
        rows=[
            (
                key,
                f"{_number(jpeg['bytes']):.0f}",
                str(drawn[key]["latent_bytes"]),
                f"{_number(jpeg['quality']):.0f}",
                str(drawn[key]["pictures"]),
                str(jpeg["shrunk"]),
            )
            for key, jpeg in jpegs.items()
        ],
    )
    if "sizes" in document:
        yield _by_size(document)
    yield Table(
        title="One picture in one pass, a fresh process, opening included",
        columns=("", "encoding, s", "decoding, s", "peak, MiB"),
        rows=[
            (
                key,
                f"{_number(cell['encoding_seconds']):.2f}",
                f"{_number(cell['decoding_seconds']):.2f}",
                f"{_number(cell['peak_bytes']) / 2**20:.0f}",
            )
            for key, cell in _cells(document, "costs").items()
        ],
    )


def _contestants(
    measure: str,
    title: str,
    form: str,
    drawn: Mapping[str, Entry],
    photographs: Mapping[str, Entry],
) -> Table:
    """One measure of all contestants, and by how much the bundle's is above bicubic's."""
    rows = {
        key: {
            name: _number(_entry(figures)[measure])
            for name, figures in _entry(cell["contestants"]).items()
        }
        for key, cell in {**drawn, **photographs}.items()
    }
    names = [
        name
        for name in (RECONSTRUCTED, BEFORE, THUMBNAIL, JPEG)
        if all(name in row for row in rows.values())
    ]
    families = [rows[key] for key in drawn]
    mean = {name: statistics.fmean(row[name] for row in families) for name in names}
    shown = {**{key: rows[key] for key in drawn}, "mean of drawn": mean}
    shown |= {key: rows[key] for key in photographs}
    gains = {key: row[RECONSTRUCTED] - row[THUMBNAIL] for key, row in shown.items()}
    notes: list[str] = []
    if measure == "psnr":
        least = min(gains[key] for key in photographs)
        notes = [
            _goal("drawn pictures, dB above bicubic", gains["mean of drawn"], DRAWN_GOAL_DB, ".2f"),
            _goal("each photograph, dB above bicubic", least, PHOTOGRAPH_GOAL_DB, ".2f"),
        ]
    return Table(
        title=f"{title}: held-out pictures",
        columns=("", *names, f"{RECONSTRUCTED} minus {THUMBNAIL}"),
        rows=[
            (key, *(f"{row[name]:{form}}" for name in names), f"{gains[key]:+{form}}")
            for key, row in shown.items()
        ],
        notes=notes,
    )


def _goal(what: str, found: float, goal: float, form: str) -> str:
    return f"Goal: {what}, at least {goal:{form}}: {found:{form}}, {'met' if found >= goal else 'not met'}"


def _by_size(document: Mapping[str, object]) -> Table:
    """The same pictures at several sizes, means over the families."""
    cells = _cells(document, "sizes").values()
    first = next(iter(cells))
    sides, bundles = list(first), list(_entry(_entry(next(iter(first.values())))["whole"]))

    def mean(side: str, what: str, bundle: str | None = None) -> float:
        values = [_entry(cell[side])[what] for cell in cells]
        return statistics.fmean(
            _number(value if bundle is None else _entry(value)[bundle]) for value in values
        )

    gains = {
        (bundle, side): mean(side, "whole", bundle) - mean(side, "bicubic")
        for bundle in bundles
        for side in sides
    }
    return Table(
        title="PSNR in dB of the same drawn pictures by size",
        columns=("", "PSNR", "bicubic", "gain", "penalty", f"whole minus tiles of {sides[0]} px"),
        rows=[
            (
                f"{bundle}, {side} px",
                f"{mean(side, 'whole', bundle):.2f}",
                f"{mean(side, 'bicubic'):.2f}",
                f"{gains[bundle, side]:+.2f}",
                f"{gains[bundle, sides[0]] - gains[bundle, side]:+.2f}",
                f"{mean(side, 'whole', bundle) - mean(side, 'tiles', bundle):+.2f}",
            )
            for bundle in bundles
            for side in sides
        ],
        notes=[
            f"Penalty: the gain at {sides[0]} px minus the gain at the size.",
            "The last column: below 0 where the larger grid itself costs, above where tiles lose at their borders.",
        ],
    )


def _demo_generation(document: Mapping[str, object]) -> Iterator[Table]:
    held_out, generated = _cells(document, "held out"), _cells(document, "generated")
    if not generated:
        return
    named = {
        "as drawn": {key: _entry(cell["drawn"]) for key, cell in held_out.items()},
        "reconstructed": {key: _entry(cell["reconstructed"]) for key, cell in held_out.items()},
        "generated": {key: _entry(cell["names"]) for key, cell in generated.items()},
    }
    shares = {
        what: {
            key: _number(row[key]) / sum(map(_number, row.values())) for key, row in rows.items()
        }
        for what, rows in named.items()
    }
    means = {what: statistics.fmean(by_class.values()) for what, by_class in shares.items()}
    yield Table(
        title="Share that the classifier names right",
        columns=("", *shares),
        rows=[
            *(
                (key, *(f"{by_class[key]:.1%}" for by_class in shares.values()))
                for key in generated
            ),
            ("all", *(f"{mean:.1%}" for mean in means.values())),
        ],
        notes=[
            *(
                _goal(f"held-out pictures, {what}", means[what], HELD_OUT_GOAL, ".1%")
                for what in ("as drawn", "reconstructed")
            ),
            _goal("generated pictures", means["generated"], GENERATED_GOAL, ".1%"),
        ],
    )
    yield Table(
        title="Generated pictures: what each class is named",
        columns=("", "right", "otherwise"),
        rows=[
            (
                key,
                str(row[key]),
                ", ".join(f"{name} {row[name]}" for name in CLASSES if name != key and row[name]),
            )
            for key, row in named["generated"].items()
        ],
    )
    yield _nearness(held_out, generated)


def _nearness(held_out: Mapping[str, Entry], generated: Mapping[str, Entry]) -> Table:
    """Distances to the nearest training pictures, in levels, of generated and of reconstructed held-out pictures."""
    theirs = {key: _numbers(cell["distances"]) for key, cell in held_out.items()}
    ours = {key: _numbers(cell["distances"]) for key, cell in generated.items()}
    near = {
        key: sum(
            distance < float(np.percentile(theirs[key], NEAR_PERCENTILE)) for distance in found
        )
        for key, found in ours.items()
    }

    def row(name: str, ours: Sequence[float], theirs: Sequence[float], near: int) -> list[str]:
        medians = statistics.median(ours), statistics.median(theirs)
        ratio = medians[0] / medians[1]
        figures = [*(f"{median:.1f}" for median in medians), f"{ratio:.2f}"]
        return [name, *figures, f"{near / len(ours):.1%}"]

    everything = [
        [distance for found in by_class.values() for distance in found]
        for by_class in (ours, theirs)
    ]
    return Table(
        title="Median distance to the nearest training picture, in levels, as thumbnails",
        columns=(
            "",
            "generated",
            "held-out",
            "ratio",
            f"nearer than held-out's {NEAR_PERCENTILE} %",
        ),
        rows=[
            *(row(key, ours[key], theirs[key], near[key]) for key in ours),
            row("all", *everything, sum(near.values())),
        ],
        notes=["Copies would make the ratio small, and the last column far more than 1 %."],
    )


def _flow(document: Mapping[str, object]) -> Iterator[Table]:
    cells = _cells(document, "errors")
    samplers = list(
        dict.fromkeys(name for cell in cells.values() for name in _entry(cell["relative_l2"]))
    )
    yield Table(
        title="Relative L2 to RK45 at a relative tolerance of 1e-6",
        columns=("", *cells),
        rows=[
            (
                sampler,
                *(
                    f"{_number(_entry(cell['relative_l2'])[sampler]):.1e}"
                    for cell in cells.values()
                ),
            )
            for sampler in samplers
        ],
        notes=[
            f"{key}: RK45 took {cell['evaluations']} evaluations" for key, cell in cells.items()
        ],
    )


def _distribution(document: Mapping[str, object]) -> Iterator[Table]:
    cells = _cells(document, "families")
    references = {
        f"{family}, the best network there is": cell
        for family, cell in _cells(document, "best").items()
    } | _cells(document, "references")
    sizes = _cells(document, "sizes")["training"]
    yield Table(
        title="Energy distance of samples to a known distribution, and how many its best classifier finds right",
        columns=("", "bundle", "found right", "PyTorch", "found right"),
        rows=[
            *(
                (key, *_distance(_entry(cell["bundle"])), *_distance(_entry(cell["pytorch"])))
                for key, cell in cells.items()
            ),
            *((key, "-", "-", *_distance(cell)) for key, cell in references.items()),
        ],
        notes=[
            f"{sizes['samples']} samples of each class, against {sizes['fresh']} fresh latents of it.",
            f"As many latents in the samples' place, {sizes['repeats']} times: mean and standard deviation.",
        ],
    )
    yield Table(
        title="The bundle's samples beside PyTorch's of the same noise",
        columns=(
            "",
            "sampler",
            "relative L2",
            "at most",
            "of the range",
            "at most",
            "CPU ms a step",
        ),
        rows=[
            (
                key,
                str(cell["sampler"]),
                f"{_number(cell['relative_l2']):.1e}",
                f"{_figure(cell, 'tolerance', 'relative_l2'):.0e}",
                f"{_number(cell['max_abs']):.1e}",
                f"{_figure(cell, 'tolerance', 'max_abs'):.0e}",
                f"{1000 * _number(cell['training_cpu_seconds']) / _number(cell['steps_taken']):.1f}",
            )
            for key, cell in cells.items()
        ],
    )


def _distance(cell: Entry) -> tuple[str, str]:
    energy, accuracy = (
        _numbers(value) if isinstance(value, list) else [_number(value)]
        for value in (cell["energy"], cell["accuracy"])
    )
    return _spread(energy, ".4f"), _spread(accuracy, ".1%")


def _headline(document: Mapping[str, object]) -> Iterator[Table]:
    cells = _cells(document, "pairs")
    yield Table(
        title="Times the images a second",
        columns=("", "transformer alone", "paper, H100", "with decoding"),
        rows=[
            (
                key,
                f"{_number(cell['speed_up']):.1f}",
                f"{_number(cell['published_on_h100']):.1f}",
                f"{_number(cell['speed_up_decoded']):.1f}",
            )
            for key, cell in cells.items()
        ],
    )
    yield Table(
        title="Median seconds for one image, both guidance halves in one call",
        columns=("", "a step", "decoding", "all steps and decoding"),
        rows=[
            (
                name,
                *(
                    f"{_number(_entry(cell[what])[name]):.3f}"
                    for what in ("step_seconds", "decoding_seconds", "image_seconds")
                ),
            )
            for cell in cells.values()
            for name in _entry(cell["step_seconds"])
        ],
    )


def _gpu(document: Mapping[str, object]) -> Iterator[Table]:
    parts = {key: cell for part in PARTS for key, cell in _cells(document, part).items()}
    cases = list(dict.fromkeys(key.partition(SEPARATOR)[0] for key in parts))
    held = {key.partition(SEPARATOR)[2] for key in parts}
    names = [name for name in NAMES if name in held]
    yield Table(
        title="Milliseconds for one image; images a second at the best batch; memory; share of matrix products' peak",
        columns=("", *names),
        rows=[
            (case, *(_gpu_text(parts.get(SEPARATOR.join((case, name)))) for name in names))
            for case in cases
        ],
        notes=_reasons(parts),
    )
    headline = _cells(document, "headline")
    yield Table(
        title="Times the images a second of a transformer's evaluations, decoding left out",
        columns=("", "measured", "paper, H100 and TensorRT"),
        rows=[(_row_name(key), *_speed_up_columns(cell)) for key, cell in headline.items()],
        notes=_reasons(headline),
    )
    training = _cells(document, "training")
    yield Table(
        title="Times the images a second of a transformer's training",
        columns=("", "precision", "measured", "paper, H100, fp16"),
        rows=[
            (key, str(cell.get("precision", "")), *_speed_up_columns(cell))
            for key, cell in training.items()
        ],
        notes=_reasons(training),
    )
    loops = _cells(document, "loops")
    yield Table(
        title="An evaluation while sampling, milliseconds: where the state lies",
        columns=("", "on the device", "copied to NumPy", "largest difference"),
        rows=[
            (
                key,
                *(
                    (NOT_RUN, "", "")
                    if "not_run" in cell
                    else (
                        f"{1000 * _number(cell['device_seconds']):.3f}",
                        f"{1000 * _number(cell['copied_seconds']):.3f}",
                        f"{_number(cell['max_abs_difference']):.1e}",
                    )
                ),
            )
            for key, cell in loops.items()
        ],
        notes=_reasons(loops),
    )
    products = _cells(document, "products")
    yield Table(
        title="Square matrix products in PyTorch, 10^12 operations a second",
        columns=("", *DTYPES),
        rows=[
            (
                key,
                *(
                    f"{_number(cell[name]) / 1e12:.2f}" if name in cell else NOT_RUN
                    for name in DTYPES
                ),
            )
            for key, cell in products.items()
        ],
        notes=_reasons(products),
    )


def _row_name(key: str) -> str:
    return key.replace(SEPARATOR, ": ")


def _reasons(cells: Mapping[str, Entry]) -> list[str]:
    """Why cells were not run or are unfinished, each reason once; where it is a whole column's, with its name."""
    keys: dict[str, list[str]] = {}
    for key, cell in cells.items():
        for state in ("not_run", "unfinished"):
            if state in cell:
                keys.setdefault(f"{state.replace('_', ' ')}: {cell[state]}", []).append(key)
    return [
        f"{'all' if len(found) == len(cells) else '; '.join(_shortened(found, cells))}: {reason}"
        for reason, found in keys.items()
    ]


def _shortened(found: Sequence[str], cells: Mapping[str, Entry]) -> list[str]:
    """The names of cells: that of a column where all its cells are among them."""
    sizes = Counter(key.partition(SEPARATOR)[2] for key in cells)
    whole = Counter(key.partition(SEPARATOR)[2] for key in found)
    named = {column for column, count in whole.items() if column and count == sizes[column] > 1}
    names = (
        column if (column := key.partition(SEPARATOR)[2]) in named else _row_name(key)
        for key in found
    )
    return list(dict.fromkeys(names))


def _gpu_text(cell: Entry | None) -> str:
    if cell is None:
        return "-"
    if "not_run" in cell:
        return NOT_RUN
    texts = [
        f"{1000 * _number(cell['latency_seconds']):.2f} ms",
        f"{_number(cell['best_images_per_second']):.2f}/s at {cell['best_batch']}",
        "memory not measured"
        if cell["peak_bytes"] is None
        else f"{_number(cell['peak_bytes']) / 2**30:.2f} GiB",
    ]
    if "share_of_products" in cell:
        texts.append(f"{_number(cell['share_of_products']):.0%}")
    if "unfinished" in cell:
        texts.append("unfinished")
    return "; ".join(texts)


def _speed_up_columns(cell: Entry) -> tuple[str, str]:
    measured = f"{_number(cell['speed_up']):.1f}" if "speed_up" in cell else NOT_RUN
    return measured, f"{_number(cell['published_on_h100']):.1f}"


def _cells(document: Mapping[str, object], section: str) -> dict[str, Entry]:
    """A section's cells, sizes in the order of their numbers."""
    entries = _entries(document.get(section, {}))
    return {key: _entry(entries[key]["cell"]) for key in sorted(entries, key=_natural)}


def _natural(key: str) -> list[tuple[int, str]]:
    return [(int(word), "") if word.isdigit() else (0, word) for word in key.split()]


def _entry(value: object) -> Entry:
    assert isinstance(value, Mapping)
    return value


def _entries(value: object) -> dict[str, Entry]:
    return {str(name): _entry(entry) for name, entry in _entry(value).items()}


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _numbers(values: object) -> list[float]:
    assert isinstance(values, list)
    return [_number(value) for value in values]


def _last(values: object) -> object:
    assert isinstance(values, list)
    return values[-1]


def _total(operators: Entry) -> int:
    return sum(int(_number(count)) for count in operators.values())
