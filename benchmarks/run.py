"""The command line: ``python -m benchmarks.run --help``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console

from benchmarks.artifacts import Artifacts
from benchmarks.autoencoder import measure_memory, measure_speed
from benchmarks.case import Case, Direction
from benchmarks.contestants import BUNDLE, EAGER, EVERYONE
from benchmarks.demo_generation import Generated, measure_demo_generation
from benchmarks.demo_reconstruction import HeldOut, measure_reconstruction
from benchmarks.denoiser import PAIRS, UVIT_F8, UVIT_F32, UVIT_F64, measure_pair, measure_step
from benchmarks.diffusion_training import PAIRS as TRAINING_PAIRS
from benchmarks.diffusion_training import SINGLE, measure_single
from benchmarks.diffusion_training import measure_pair as measure_training_pair
from benchmarks.distribution import SAMPLERS, ToyTraining, measure_distribution
from benchmarks.engine import measure_engine
from benchmarks.export_costs import measure_export
from benchmarks.generation import measure_generation
from benchmarks.gpu import (
    CPU,
    CUDA,
    NAMES,
    PARTS,
    PRODUCT_SIDE,
    REFERENCE,
    GpuBenchmark,
    Pair,
    columns,
    gpu_cases,
)
from benchmarks.gpu import (
    PAIRS as GPU_PAIRS,
)
from benchmarks.passes import PROFILED_SIZE, STATIC_SIZE, count_nodes, profile_decoder
from benchmarks.process import WorkerError, WorkerProcess
from benchmarks.report import markdown, print_tables
from benchmarks.results import Results, read_document
from benchmarks.runtimes import (
    DEMO_REQUEST,
    DEMO_SIDE,
    EVALUATIONS,
    Programs,
    measure_files,
    measure_picture,
    measure_start,
    measure_steps,
    samplers,
)
from benchmarks.sessions import measure_rows, measure_session_options
from benchmarks.study import Study, measure_study
from benchmarks.training import PHASES, measure_phase
from dcae_export.errors import DcaeError

Function = TypeVar("Function", bound=Callable[..., None])

VARIANTS = ("f32", "f64", "f128")
SIZES = ("256", "512", "1024")
LARGE = Case(variant="f64", direction=Direction.DECODE, size=2048)
FLOW_NETWORK, FLOW_LATENTS = "usit-h", "f64"
FLOW_SAMPLERS = [
    *(f"euler:{n}" for n in (24, 48)),
    *(f"heun:{n}" for n in (24, 48)),
    *(f"rk4:{n}" for n in (8, 12, 24)),
    *(f"dopri5:{n}" for n in (6, 12, 24, 48)),
]
STUDY = Study()
HELD_OUT, GENERATED = HeldOut(), Generated()
RESULTS = Path("benchmarks/results")
GPU_SIZES = (512, 1024, 2048)
CPU_PRODUCT_SIDE = 1024
GPU_EXTRAS = ("loops", "headline", "training")
# Those of the published batches.
GPU_ONLY = ("headline", "training")


class Benchmarks(click.Group):
    """Turns the errors that a user can meet into one line."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (DcaeError, WorkerError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Benchmarks)
def main() -> None:
    """Benchmarks of dcae_export. Each continues its results file; what is there is kept."""


def _print_table(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is not None:
        click.echo(markdown(read_document(path)))
        ctx.exit()


def _variants(*defaults: str, choices: Sequence[str] = VARIANTS) -> Callable[[Function], Function]:
    return click.option(
        "--variant",
        "variants",
        type=click.Choice(choices),
        multiple=True,
        default=defaults,
        show_default=True,
        help="May be repeated.",
    )


def _common(benchmark: str) -> Callable[[Function], Function]:
    """The options that all benchmarks have."""

    def add(function: Function) -> Function:
        for option in (
            click.option(
                "--table",
                type=click.Path(exists=True, dir_okay=False, path_type=Path),
                callback=_print_table,
                is_eager=True,
                expose_value=False,
                help="Print an earlier result as Markdown, and measure nothing.",
            ),
            click.option("--again", is_flag=True, help="Measure what the results hold already."),
            click.option(
                "--out",
                type=click.Path(dir_okay=False, path_type=Path),
                default=RESULTS / f"{benchmark}.json",
                show_default=True,
                help="The results file.",
            ),
            click.option(
                "--work",
                type=click.Path(file_okay=False, resolve_path=True, path_type=Path),
                default=Path("build/benchmarks"),
                show_default=True,
                help="Where weights and graphs are kept: 12 GB for f32 and f64.",
            ),
        ):
            function = option(function)
        return function

    return add


@main.command()
@_variants("f32", "f64")
@click.option(
    "--size",
    "sizes",
    type=click.Choice(SIZES),
    multiple=True,
    default=SIZES,
    show_default=True,
    help="May be repeated.",
)
@click.option(
    "--direction",
    "directions",
    type=click.Choice([direction.value for direction in Direction]),
    multiple=True,
    default=[direction.value for direction in Direction],
    show_default=True,
    help="May be repeated.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Turns that each takes.",
)
@click.option("--only", type=click.Choice(["speed", "memory"]), help="Leave out the other.")
@click.option("--large", is_flag=True, help="Also one f64 decode at 2048 in a single pass.")
@click.option(
    "--contestant",
    "names",
    type=click.Choice([contestant.name for contestant in EVERYONE]),
    multiple=True,
    default=[contestant.name for contestant in EVERYONE],
    help="Only these; bundle and eager always take part. Cells that are kept stay as they are.",
)
@_common("autoencoder")
def autoencoder(  # noqa: PLR0913 - one argument for each option
    *,
    variants: Sequence[str],
    sizes: Sequence[str],
    directions: Sequence[str],
    rounds: int,
    only: str | None,
    large: bool,
    names: Sequence[str],
    work: Path,
    out: Path,
    again: bool,
) -> None:
    """Speed and memory: the bundle beside plain export, diffusers, and torch.compile."""
    results = Results.open(out, "autoencoder", again=again)
    artifacts = Artifacts(work)
    required = {BUNDLE.name, EAGER.name}
    contestants = [one for one in EVERYONE if one.name in required.union(names)]
    cases = [
        Case(variant=variant, direction=Direction(direction), size=int(size))
        for variant in variants
        for direction in directions
        for size in sizes
    ]
    for case in cases if only != "memory" else ():
        if results.wants("speed", str(case)):
            cell = measure_speed(case, contestants, artifacts, rounds=rounds)
            results.put("speed", str(case), cell)
    for case in cases if only != "speed" else ():
        if results.wants("memory", str(case)):
            results.put("memory", str(case), measure_memory(case, contestants, artifacts))
    if large and results.wants("large", str(LARGE)):
        results.put("large", str(LARGE), measure_memory(LARGE, (BUNDLE,), artifacts))
    print_tables(results.document, Console())


@main.command()
@_variants("f64")
@click.option("--seed", type=int, default=0, show_default=True)
@_common("export")
def export(*, variants: Sequence[str], seed: int, work: Path, out: Path, again: bool) -> None:
    """What an export costs, and opening what it wrote."""
    results = Results.open(out, "export", again=again)
    for variant in variants:
        if results.wants("export", variant):
            results.put("export", variant, measure_export(variant, work, seed=seed))
    print_tables(results.document, Console())


@main.command()
@_variants("f32")
@_common("passes")
def passes(*, variants: Sequence[str], work: Path, out: Path, again: bool) -> None:
    """The graphs beside plain export: nodes, operators, and where the time goes."""
    results = Results.open(out, "passes", again=again)
    artifacts = Artifacts(work)
    for variant in variants:
        for direction in Direction:
            for size in (STATIC_SIZE, None):
                key = f"{variant} {direction.graph} {size or 'dynamic'}"
                if results.wants("nodes", key):
                    results.put("nodes", key, count_nodes(variant, direction, artifacts, size=size))
        key = f"{variant} decode {PROFILED_SIZE}"
        if results.wants("profile", key):
            results.put("profile", key, profile_decoder(variant, artifacts))
    print_tables(results.document, Console())


@main.command()
@click.option("--rounds", type=click.IntRange(min=1), default=9, show_default=True)
@_common("forms")
def forms(*, rounds: int, work: Path, out: Path, again: bool) -> None:  # noqa: ARG001
    """Two forms of one block: what the targets' rows rest on."""
    from benchmarks.forms import FORMS, measure_form  # noqa: PLC0415

    results = Results.open(out, "forms", again=again)
    for form in FORMS:
        if results.wants("forms", form.name):
            results.put("forms", form.name, measure_form(form, rounds=rounds))
    print_tables(results.document, Console())


@main.command()
@click.option("--rounds", type=click.IntRange(min=1), default=9, show_default=True)
@_common("denoiser")
def denoiser(*, rounds: int, work: Path, out: Path, again: bool) -> None:
    """One step of U-ViT-H at 64, 256 and 1024 tokens, batch 1 and 2: the bundle, a plain export, PyTorch."""
    results = Results.open(out, "denoiser", again=again)
    artifacts = Artifacts(work)
    for case in (UVIT_F64, UVIT_F32, UVIT_F8):
        for batch in (1, 2):
            key = f"{case} batch {batch}"
            if results.wants("step", key):
                results.put("step", key, measure_step(case, artifacts, batch=batch, rounds=rounds))
    print_tables(results.document, Console())


@main.command()
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@_common("sessions")
def sessions(*, rounds: int, work: Path, out: Path, again: bool) -> None:
    """How a transformer is run: options of ONNX Runtime, and rows of one call."""
    results = Results.open(out, "sessions", again=again)
    artifacts = Artifacts(work)
    for case in (UVIT_F64, UVIT_F8):
        if results.wants("options", str(case)):
            results.put("options", str(case), measure_session_options(case, artifacts))
    for case in (UVIT_F64, UVIT_F32):
        if results.wants("rows", str(case)):
            results.put("rows", str(case), measure_rows(case, artifacts, rounds=rounds))
    print_tables(results.document, Console())


@main.command()
@_variants("f64", choices=(*VARIANTS, UVIT_F8.autoencoder))
@click.option("--transformer", default="uvit-h", show_default=True)
@click.option("--side", type=click.IntRange(min=64), default=2048, show_default=True)
@_common("generation")
def generation(
    *, variants: Sequence[str], transformer: str, side: int, work: Path, out: Path, again: bool
) -> None:
    """One picture from noise, the decoder in a single pass: seconds of each part and the peak.

    What cannot be exported or run on this machine has the reason.
    """
    results = Results.open(out, "generation", again=again)
    artifacts = Artifacts(work)
    for variant in variants:
        key = f"{transformer} on {variant}, {side} px"
        if results.wants("generation", key):
            results.put(
                "generation", key, measure_generation(artifacts, variant, transformer, side)
            )
    print_tables(results.document, Console())


@main.command()
@_variants("f64")
@click.option("--size", type=click.IntRange(min=64), default=256, show_default=True)
@click.option(
    "--phase", "phases", type=click.Choice(["1", "2", "3"]), multiple=True, default=["1", "2", "3"]
)
@click.option(
    "--checkpoint-activations",
    is_flag=True,
    help="Trained parts are computed again on the way back, too; frozen ones always are.",
)
@_common("training")
def training(  # noqa: PLR0913 - one argument for each option
    *,
    variants: Sequence[str],
    size: int,
    phases: Sequence[str],
    checkpoint_activations: bool,
    work: Path,  # noqa: ARG001 - nothing is kept
    out: Path,
    again: bool,
) -> None:
    """Three optimizer steps of each phase of an autoencoder's training: seconds, losses, peak."""
    results = Results.open(out, "training", again=again)
    for variant in variants:
        for phase in PHASES:
            key = f"{variant} phase {phase}, {size} px, batch 1"
            if checkpoint_activations:
                key += ", activations checkpointed"
            if str(phase) in phases and results.wants("steps", key):
                cell = measure_phase(
                    variant, phase, size=size, checkpoint_activations=checkpoint_activations
                )
                results.put("steps", key, cell)
    print_tables(results.document, Console())


@main.command()
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "fp16"]),
    default="fp32",
    show_default=True,
    help="The published figures are of fp16.",
)
@click.option(
    "--tokens",
    type=click.IntRange(min=64),
    default=1024,
    show_default=True,
    help="Of a batch; the published figures have 262144.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@_common("diffusion_training")
def diffusion_training(
    *,
    precision: str,
    tokens: int,
    rounds: int,
    work: Path,  # noqa: ARG001 - nothing is kept
    out: Path,
    again: bool,
) -> None:
    """Steps of the diffusion transformers' training, and how many times faster compressed latents make it."""
    results = Results.open(out, "diffusion_training", again=again)
    for one in SINGLE:
        key = f"{one}, batch 1, {precision}"
        if results.wants("steps", key):
            results.put("steps", key, measure_single(one, steps=rounds, precision=precision))
    for compressed, baseline, published in TRAINING_PAIRS:
        key = f"{compressed} against {baseline}, {tokens} tokens, {precision}"
        if results.wants("pairs", key):
            cell = measure_training_pair(
                compressed, baseline, tokens=tokens, rounds=rounds, precision=precision
            )
            results.put("pairs", key, {**cell, "published_on_h100": published})
    print_tables(results.document, Console())


@main.command()
@click.option("--size", type=click.IntRange(min=64), default=256, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Of each turn.",
)
@_common("engine")
def engine(
    *,
    size: int,
    rounds: int,
    steps: int,
    work: Path,  # noqa: ARG001 - nothing is kept
    out: Path,
    again: bool,
) -> None:
    """What the training engine costs: its steps beside those of a plain PyTorch loop."""
    results = Results.open(out, "engine", again=again)
    key = f"f64 at an eighth of its widths, {size} px, batch 2"
    if results.wants("steps", key):
        results.put("steps", key, measure_engine(size=size, rounds=rounds, steps=steps))
    print_tables(results.document, Console())


def _number(name: str, default: int, text: str) -> Callable[[Function], Function]:
    return click.option(
        name, type=click.IntRange(min=1), default=default, show_default=True, help=text
    )


def _folder(name: str, text: str, *, required: bool = True) -> Callable[[Function], Function]:
    return click.option(
        name,
        type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
        required=required,
        help=text,
    )


@main.command()
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True)
@_number("--steps", STUDY.steps, "Of phase 1.")
@_number("--adaptation-steps", STUDY.adaptation_steps, "Of phase 2, and of a phase 1 that goes on.")
@_number("--refinement-steps", STUDY.refinement_steps, "Of phase 3, and of everything with a GAN.")
@_common("study")
def study(  # noqa: PLR0913 - one argument for each option
    *,
    seeds: int,
    steps: int,
    adaptation_steps: int,
    refinement_steps: int,
    work: Path,
    out: Path,
    again: bool,
) -> None:
    """DC-AE's claims on training, in small: shortcuts, high-resolution adaptation, where the GAN belongs."""
    results = Results.open(out, "study", again=again)
    sizes = Study(steps=steps, adaptation_steps=adaptation_steps, refinement_steps=refinement_steps)
    measure_study(sizes, seeds, work, results)
    print_tables(results.document, Console())


@main.command()
@_folder("--bundle", "The demo model's autoencoder, exported with dynamic sizes.")
@_folder("--before", "The same of an earlier phase, to set beside it.", required=False)
@_number("--count", HELD_OUT.count, "Held-out pictures of each family.")
@_number("--larger-count", HELD_OUT.larger_count, "Of them seen at 1024 and 2048 px, too.")
@_common("demo_reconstruction")
def demo_reconstruction(  # noqa: PLR0913 - one argument for each option
    *,
    bundle: Path,
    before: Path | None,
    count: int,
    larger_count: int,
    work: Path,
    out: Path,
    again: bool,
) -> None:
    """What the demo model keeps of held-out pictures, beside bicubic and JPEG; a sheet of them."""
    results = Results.open(out, "demo_reconstruction", again=again)
    held_out = HeldOut(count=count, larger_count=larger_count)
    sheet = measure_reconstruction(bundle, before, held_out, work, results)
    print_tables(results.document, Console())
    click.echo(f"sheet: {sheet}")


@main.command()
@_folder("--bundle", "The demo model with its transformer.")
@_folder("--pictures", "What it was trained on: FAMILY/NUMBER.png.")
@_number("--count", GENERATED.count, "Generated pictures of each class.")
@_number("--held-out", GENERATED.held_out, "Held-out pictures of each class.")
@_common("demo_generation")
def demo_generation(  # noqa: PLR0913 - one argument for each option
    *,
    bundle: Path,
    pictures: Path,
    count: int,
    held_out: int,
    work: Path,
    out: Path,
    again: bool,
) -> None:
    """Whether a classifier names what the demo model generates, and whether that is copied; sheets."""
    results = Results.open(out, "demo_generation", again=again)
    generated = Generated(count=count, held_out=held_out)
    sheets = measure_demo_generation(bundle, pictures, generated, work, results)
    print_tables(results.document, Console())
    for sheet in sheets:
        click.echo(f"sheet: {sheet}")


@main.command()
@click.option(
    "--family",
    "families",
    type=click.Choice(list(SAMPLERS)),
    multiple=True,
    default=list(SAMPLERS),
    show_default=True,
    help="May be repeated.",
)
@_common("distribution")
def distribution(
    *,
    families: Sequence[str],
    work: Path,  # noqa: ARG001 - nothing is kept
    out: Path,
    again: bool,
) -> None:
    """A small transformer of each family, trained on a known distribution: how near its samples come."""
    results = Results.open(out, "distribution", again=again)
    measure_distribution(ToyTraining(), families, results)
    print_tables(results.document, Console())


@main.command()
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True)
@_common("flow")
def flow(*, seeds: int, work: Path, out: Path, again: bool) -> None:  # noqa: ARG001
    """Which fixed-step table of a flow ends where an adaptive solver does, on a random U-ViT."""
    results = Results.open(out, "flow", again=again)
    for seed in range(seeds):
        key = f"{FLOW_NETWORK} on {FLOW_LATENTS}, seed {seed}"
        if results.wants("errors", key):
            with WorkerProcess() as worker:
                cell = worker.call(
                    "flow errors",
                    name=FLOW_NETWORK,
                    autoencoder=FLOW_LATENTS,
                    samplers=FLOW_SAMPLERS,
                    seed=seed,
                )
            results.put("errors", key, cell)
    print_tables(results.document, Console())


@main.command()
@click.option("--provider", type=click.Choice([CUDA, CPU]), default=CUDA, show_default=True)
@click.option(
    "--pair",
    "names",
    multiple=True,
    metavar="TRANSFORMER:AUTOENCODER",
    help="As in uvit-h:f64; may be repeated.  [default: uvit-h and dit-xl on f64 and f32]",
)
@click.option(
    "--size",
    "sizes",
    type=click.IntRange(min=64),
    multiple=True,
    default=GPU_SIZES,
    show_default=True,
    help="May be repeated.",
)
@click.option(
    "--part",
    "parts",
    type=click.Choice([*PARTS, *GPU_EXTRAS]),
    multiple=True,
    default=[*GPU_EXTRAS, *PARTS],
    help="Only these; may be repeated.",
)
@click.option(
    "--contestant",
    "wanted",
    type=click.Choice(NAMES),
    multiple=True,
    default=NAMES,
    help=f"Only these; {REFERENCE.name} is what they are held to.",
)
@click.option(
    "--seconds", type=click.FloatRange(min=1), help="Begin nothing new after them. [default: all]"
)
@_common("gpu")
def gpu(  # noqa: PLR0913 - one argument for each option
    *,
    provider: str,
    names: Sequence[str],
    sizes: Sequence[int],
    parts: Sequence[str],
    wanted: Sequence[str],
    seconds: float | None,
    work: Path,
    out: Path,
    again: bool,
) -> None:
    """Networks on a GPU: ONNX Runtime's providers beside PyTorch; the headline. Table and plot lie beside the JSON.

    It goes on where it was ended. A GPU that other programs use tells wrong figures of memory.
    """
    with WorkerProcess() as worker:
        device = worker.call("describe gpu", provider=provider)
    results = Results.open(out, "gpu", again=again, device=device)
    benchmark = GpuBenchmark(
        artifacts=Artifacts(work),
        results=results,
        provider=provider,
        contestants=[one for one in columns(provider) if one.name in wanted],
        absent=None if device or provider == CPU else "there is no NVIDIA GPU",
        seconds=seconds,
        product_side=CPU_PRODUCT_SIDE if provider == CPU else PRODUCT_SIDE,
        least_side=min(sizes),
    )
    pairs = [_pair(name) for name in names] or list(GPU_PAIRS)
    benchmark.measure(gpu_cases(pairs, [part for part in PARTS if part in parts], sorted(sizes)))
    if "loops" in parts:
        benchmark.measure_loops(pairs, sorted(sizes))
    left_out = [part for part in GPU_ONLY if part in parts and provider == CPU]
    if "headline" in parts and not left_out:
        benchmark.measure_headline()
    if "training" in parts and not left_out:
        benchmark.measure_training()
    benchmark.retry()
    print_tables(results.document, Console())
    out.with_suffix(".md").write_text(markdown(results.document) + "\n", encoding="utf-8")
    click.echo(f"table: {out.with_suffix('.md')}")
    with WorkerProcess() as worker:
        worker.call("plot gpu", results=str(out), path=str(out.with_suffix(".png")))
    click.echo(f"plot: {out.with_suffix('.png')}")
    if left_out:
        click.echo(f"{' and '.join(left_out)}: not run: the published batches are a GPU's")
    if benchmark.is_over:
        click.echo("the time is over; the same command goes on")


def _pair(name: str) -> Pair:
    transformer, separator, autoencoder = name.partition(":")
    if not separator:
        raise click.UsageError(f"--pair {name}: give TRANSFORMER:AUTOENCODER, as in uvit-h:f64")
    return Pair(transformer=transformer, autoencoder=autoencoder)


@main.command()
@click.option(
    "--program",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
    default=Path("runtimes/cpp/build/dcae-run"),
    show_default=True,
    help="dcae-run, beside its library.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=9, show_default=True)
@_common("runtimes")
def runtimes(*, program: Path, rounds: int, work: Path, out: Path, again: bool) -> None:
    """The C++ runtime beside the Python one: start-up, a step apart from its network, a picture, sizes of files."""
    results = Results.open(out, "runtimes", again=again)
    artifacts = Artifacts(work)
    programs = Programs(cpp=program)
    tiny = artifacts.tiny(samplers(EVALUATIONS))
    for call in (("--version",), ("verify", tiny), ("inspect", tiny)):
        if results.wants("start", str(call[0])):
            results.put("start", str(call[0]), measure_start(programs, *call, rounds=rounds))
    steps = "{} to {} evaluations".format(*EVALUATIONS)
    if results.wants("steps", steps):
        results.put("steps", steps, measure_steps(programs, tiny, rounds=rounds))
    picture = f"demo model, {DEMO_SIDE} px"
    if results.wants("picture", picture):
        demo = artifacts.demo(DEMO_SIDE)
        cell = measure_picture(programs, demo, *DEMO_REQUEST, rounds=rounds)
        results.put("picture", picture, cell)
    if results.wants("files", "as built"):
        results.put("files", "as built", measure_files(programs))
    print_tables(results.document, Console())


@main.command()
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@_common("headline")
def headline(*, rounds: int, work: Path, out: Path, again: bool) -> None:
    """The papers' headline: a compressed latent's transformer beside that of SD-VAE-f8, on this machine."""
    results = Results.open(out, "headline", again=again)
    artifacts = Artifacts(work)
    for compressed, baseline, published in PAIRS:
        key = f"{compressed} against {baseline}"
        if results.wants("pairs", key):
            cell = measure_pair(compressed, baseline, artifacts, rounds=rounds)
            results.put("pairs", key, {**cell, "published_on_h100": published})
    print_tables(results.document, Console())


if __name__ == "__main__":
    main()
