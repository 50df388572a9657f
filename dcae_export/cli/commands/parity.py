"""``dcae parity``."""

from typing import TYPE_CHECKING

import click

from dcae_export.cli.bundle_argument import bundle_argument, locate_bundle
from dcae_export.cli.command import command_with
from dcae_export.cli.console import finite, json_option, print_json, print_table
from dcae_export.cli.progress import Progress
from dcae_export.cli.provider_choice import PROVIDERS
from dcae_export.errors import BundleError, ParityError

if TYPE_CHECKING:
    from dcae_export.evaluation.parity_matrix import Measurement

OTHERS = ("openvino", "reference")


@command_with(
    name="parity",
    examples=(
        "dcae parity dc-ae-f64c128-in-1.0",
        "dcae parity dc-ae-f64c128-in-1.0 --provider cuda --provider tensorrt",
        "dcae parity dc-ae-f64c128-in-1.0 --against openvino --json",
    ),
)
@bundle_argument
@click.option(
    "--provider",
    "providers",
    type=click.Choice(PROVIDERS),
    multiple=True,
    default=("cpu",),
    show_default=True,
    help="An ONNX Runtime provider; may be given more than once.",
)
@click.option(
    "--against",
    "others",
    type=click.Choice(OTHERS),
    multiple=True,
    help="OpenVINO, or ONNX's own reference evaluator, which is slow; may be given more than once.",
)
@json_option
def command(
    *, bundle: str, providers: tuple[str, ...], others: tuple[str, ...], as_json: bool
) -> None:
    """Run a bundle's golden arrays on this machine and compare with what PyTorch gave.

    Status 7: one differs by more than its tolerance.
    """
    from dcae_export.bundle.reader import Bundle
    from dcae_export.evaluation.parity_matrix import Runtime, measure

    # A runtime that was named twice is run once.
    names = dict.fromkeys((*providers, *others))
    opened = Bundle.open(locate_bundle(bundle))
    with Progress("running the golden arrays"):
        measurements = measure(opened, [Runtime(name) for name in names])
    if not measurements:
        raise BundleError(f"{bundle}: holds no golden arrays; export the bundle again")
    if as_json:
        print_json(_content(bundle, measurements))
    else:
        _print_matrix(measurements)
    missed = [measurement for measurement in measurements if not measurement.passed]
    if missed:
        worst = max(missed, key=lambda measurement: measurement.difference.relative_l2)
        raise ParityError(
            f"{len(missed)} of {len(measurements)} missed; worst: {worst.graph} on {worst.runtime}, "
            f"{worst.difference}; {_tolerance_text(worst)}"
        )


def _print_matrix(measurements: "list[Measurement]") -> None:
    runtimes = list(dict.fromkeys(measurement.runtime for measurement in measurements))
    graphs = list(dict.fromkeys(measurement.graph for measurement in measurements))
    cells = {
        (graph, runtime): [
            _cell(m) for m in measurements if (m.graph, m.runtime) == (graph, runtime)
        ]
        for graph in graphs
        for runtime in runtimes
    }
    print_table(
        ("graph", *runtimes),
        [(graph, *("\n".join(cells[graph, runtime]) for runtime in runtimes)) for graph in graphs],
    )
    click.echo("each: relative L2, max abs, verdict")
    judged: dict[str, list[str]] = {}
    for measurement in measurements:
        judged.setdefault(_tolerance_text(measurement), []).append(measurement.graph)
    for tolerance, names in judged.items():
        click.echo(f"{', '.join(dict.fromkeys(names))}: {tolerance}")


def _cell(measurement: "Measurement") -> str:
    difference = measurement.difference
    verdict = "ok" if measurement.passed else "MISSED"
    return f"{difference.relative_l2:.1e}  {difference.max_abs:.1e}  {verdict}"


def _tolerance_text(measurement: "Measurement") -> str:
    tolerance = measurement.tolerance
    return f"at most {tolerance} ({tolerance.because})"


def _content(bundle: str, measurements: "list[Measurement]") -> dict[str, object]:
    return {
        "bundle": bundle,
        "passed": all(measurement.passed for measurement in measurements),
        "measurements": [
            {
                "graph": measurement.graph,
                "runtime": measurement.runtime,
                "passed": measurement.passed,
                "relative_l2": finite(measurement.difference.relative_l2),
                "max_abs": finite(measurement.difference.max_abs),
                "reference_range": finite(measurement.difference.reference_range),
                "psnr_db": measurement.difference.psnr_db,
                "cosine": measurement.difference.cosine,
                "worst": list(measurement.difference.worst),
                "tolerance": {
                    "relative_l2": measurement.tolerance.relative_l2,
                    "max_abs": measurement.tolerance.max_abs,
                    "psnr_db": measurement.tolerance.psnr_db,
                    "cosine": measurement.tolerance.cosine,
                    "because": measurement.tolerance.because,
                },
            }
            for measurement in measurements
        ],
    }
