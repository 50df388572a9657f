"""``dcae export``."""

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from dcae_export.cli.command import command_with
from dcae_export.cli.console import print_note, size_text
from dcae_export.cli.option_types import Size, WholeNumber
from dcae_export.cli.progress import Progress
from dcae_export.errors import BundleError, InputError, UsageError
from dcae_export.export.options import SimplifierName
from dcae_export.export.precision import PrecisionName
from dcae_export.export.target import TargetName

if TYPE_CHECKING:
    from dcae_export.export.exporter import TransformerExport
    from dcae_export.export.recipe import ExportRecipe
    from dcae_export.models.transformer_weights import TransformerCheckpoint
    from dcae_export.models.weights import AutoencoderCheckpoint


@command_with(
    name="export",
    examples=(
        "dcae export --variant f64",
        "dcae export --variant f64-demo",
        "dcae export --weights dc-ae-f32c32-sana-1.1/ --target cuda --precision fp16",
        "dcae export --variant f32 --weights random:0 --out try-it",
        "dcae export --recipe f64-2048 --size 2048x1024",
        "dcae export --variant f64 --transformer uvit-h --sampler dpmpp-2m:20",
        "dcae export --weights runs/f64 --transformer-weights runs/uvit",
    ),
)
@click.option("--variant", help="A name of `dcae list`. May be left out where the weights tell it.")
@click.option(
    "--weights",
    metavar="PATH|ORG/NAME|random:SEED",
    help="Weights, or a finished training run.  "
    "[default: the variant's official ones, from the hub; f64-demo's come with this package]",
)
@click.option(
    "--out",
    metavar="FOLDER",
    help="The bundle.  [default: ./ and the variant's or the run's name]",
)
@click.option(
    "--target",
    type=click.Choice(get_args(TargetName)),
    help="What will run it.  [default: generic: anything]",
)
@click.option(
    "--precision",
    type=click.Choice(get_args(PrecisionName)),
    help="What the graphs compute in; fp16 halves the files, for targets cuda and tensorrt.  "
    "[default: fp32]",
)
@click.option(
    "--size",
    type=Size(),
    metavar="512|WIDTHxHEIGHT",
    help="Fix the size of pictures.  [default: any size]",
)
@click.option(
    "--batch", type=WholeNumber(min=1), help="With --size: pictures at a time.  [default: 1]"
)
@click.option(
    "--image-io/--no-image-io", default=None, help="Take and give uint8 pictures, (N, H, W, 3)."
)
@click.option(
    "--simplifier", type=click.Choice(get_args(SimplifierName)), help="[default: onnxsim]"
)
@click.option("--single-file/--no-single-file", default=None, help="Keep weights inside the .onnx.")
@click.option(
    "--transformer",
    help="Also a diffusion transformer: uvit-h, dit-xl, ..., or a full name of `dcae list`.  "
    "[default: what --transformer-weights say that they are; for f64-demo its own]",
)
@click.option(
    "--transformer-weights",
    metavar="PATH|ORG/NAME|random:SEED",
    help="Its weights, or a finished training run.  "
    "[default: --weights where that holds both networks, else the official ones]",
)
@click.option(
    "--sampler",
    "samplers",
    multiple=True,
    metavar="NAME:N",
    help="A solver and its number of evaluations, the default first.  [default: the transformer's]",
)
@click.option(
    "--interpolate-positions",
    type=Size(),
    metavar="1024|WIDTHxHEIGHT",
    help="Stretch the positions that a U-ViT has learned to another size.",
)
@click.option(
    "--class-names",
    type=click.Path(path_type=Path),
    help="A text file with the name of one class a line.",
)
@click.option(
    "--recipe",
    "recipe_name",
    metavar="FILE|NAME",
    help="These options as YAML, or the name of a shipped recipe; the command line wins.",
)
@click.option("--force", is_flag=True, help="Replace an existing bundle.")
@click.option("--wait", is_flag=True, help="Queue behind another writer of the bundle.")
def command(
    *,
    recipe_name: str | None,
    force: bool,
    wait: bool,
    **given: str | int | Path | tuple[int, int] | tuple[str, ...] | None,
) -> None:
    """Turn a checkpoint into a verified ONNX bundle.

    Every graph is compared with PyTorch as it was saved, before the bundle appears. --variant f64-demo needs no network:
    a small autoencoder and a transformer for its latents come with this package.
    """
    from dcae_export.export.recipe import ExportRecipe
    from dcae_export.recipe_files import find_recipe
    from dcae_export.yaml_file import load

    recipe = ExportRecipe()
    if recipe_name is not None:
        recipe = load(find_recipe(recipe_name, kind="export"), ExportRecipe)
    recipe = recipe.model_copy(
        update={name: value for name, value in given.items() if value not in (None, ())}
    )
    _check_before_weights(recipe, force=force)
    _print_result(_export(recipe, force=force, wait=wait))


def _check_before_weights(recipe: "ExportRecipe", *, force: bool) -> None:
    """Refuse what cannot succeed before gigabytes are fetched for it."""
    from dcae_export.models.presets import PRESETS, preset_name
    from dcae_export.models.shipped import TRANSFORMER_NAME

    options = recipe.options()
    target = recipe.out or _run_name(recipe)
    variant = recipe.variant
    if _is_shipped_model(recipe):
        target = target or TRANSFORMER_NAME
    elif not _has_transformer(recipe) and (recipe.samplers or recipe.class_names):
        raise UsageError("--sampler and --class-names go with --transformer or its weights")
    if recipe.transformer is not None and not _says_what_it_is(recipe):
        name, variant = _transformer(recipe)
        target = target or name
    if variant is not None:
        options.grid(PRESETS[preset_name(variant)].config.downsample)
        target = target or preset_name(variant)
    if target is not None and not force and Path(target).exists():
        raise BundleError(f"{target}: exists; --force replaces it, --out names another")


def _is_shipped_model(recipe: "ExportRecipe") -> bool:
    """Whether the demo model is meant, whose transformer comes along unasked."""
    from dcae_export.models.presets import preset_name
    from dcae_export.models.shipped import AUTOENCODER_NAME

    if recipe.variant is None or recipe.weights is not None or _has_transformer(recipe):
        return False
    return preset_name(recipe.variant) == AUTOENCODER_NAME


def _has_transformer(recipe: "ExportRecipe") -> bool:
    return recipe.transformer is not None or recipe.transformer_weights is not None


def _says_what_it_is(recipe: "ExportRecipe") -> bool:
    """Whether the transformer's weights have to tell its configuration, as those of a training run do."""
    weights = recipe.transformer_weights
    return weights is not None and (recipe.transformer is None or _run(weights) is not None)


def _run(weights: str | None) -> Path | None:
    """The training run that weights are, if they are one."""
    from dcae_export.models.finished_run import is_run

    path = None if weights is None else Path(weights).expanduser()
    return path if path is not None and is_run(path) else None


def _run_name(recipe: "ExportRecipe") -> str | None:
    """What a bundle of a training run is called unless told otherwise: as the run's folder, the transformer's first."""
    run = _run(recipe.transformer_weights) or _run(recipe.weights)
    return None if run is None else run.resolve().name


def _transformer(recipe: "ExportRecipe") -> tuple[str, str]:
    """The full names of the transformer that was asked for and of its autoencoder."""
    from dcae_export.models.presets import preset_name
    from dcae_export.models.transformer_presets import TRANSFORMERS, transformer_name

    name = recipe.transformer
    assert name is not None
    variant = recipe.variant
    if variant is None and name in TRANSFORMERS:
        variant = TRANSFORMERS[name].autoencoder
    if variant is None:
        raise UsageError(f"--transformer {name}: say on which autoencoder's latents with --variant")
    return transformer_name(name, autoencoder=variant), preset_name(variant)


def _export(recipe: "ExportRecipe", *, force: bool, wait: bool) -> Path:
    with Progress("importing PyTorch"):
        from dcae_export.export.exporter import export

    # The hub's client draws its own bars.
    checkpoint, transformer = _resolve(recipe)
    random = {
        part.source
        for part in (checkpoint, *([] if transformer is None else [transformer.checkpoint]))
        if part.has_random_weights
    }
    if random:
        print_note(f"{' and '.join(sorted(random))}: pictures will be noise; this is a dry run")
    with Progress("preparing") as progress:
        return export(
            checkpoint,
            _target(recipe, checkpoint, transformer),
            recipe.options(),
            transformer=transformer,
            force=force,
            wait=wait,
            progress=progress.stage,
        )


def _resolve(recipe: "ExportRecipe") -> "tuple[AutoencoderCheckpoint, TransformerExport | None]":
    from dcae_export.export.exporter import TransformerExport
    from dcae_export.models.source import resolve, shipped_transformer

    if _is_shipped_model(recipe):
        checkpoint, network = resolve(None, variant=recipe.variant), shipped_transformer()
    elif not _has_transformer(recipe):
        return resolve(recipe.weights, variant=recipe.variant), None
    elif _says_what_it_is(recipe):
        checkpoint, network = _resolve_trained(recipe)
    else:
        checkpoint, network = _resolve_named(recipe)
    names = None if recipe.class_names is None else _class_names(recipe.class_names)
    transformer = TransformerExport(checkpoint=network, samplers=recipe.samplers, class_names=names)
    return checkpoint, transformer


def _resolve_named(recipe: "ExportRecipe") -> "tuple[AutoencoderCheckpoint, TransformerCheckpoint]":
    """The networks of a backbone or of a published transformer, and of the autoencoder that goes with it."""
    from dcae_export.models.source import resolve, resolve_transformer
    from dcae_export.models.transformer_presets import TRANSFORMERS

    name, variant = _transformer(recipe)
    # The official repository of a transformer holds its autoencoder as well.
    both = TRANSFORMERS[name].repository if name in TRANSFORMERS else None
    weights = recipe.weights or (None if recipe.transformer_weights else both)
    network = resolve_transformer(
        recipe.transformer_weights or weights,
        name=recipe.transformer,
        autoencoder=variant,
        option="--transformer-weights" if recipe.transformer_weights else "--weights",
    )
    return resolve(weights, variant=variant), network


def _resolve_trained(
    recipe: "ExportRecipe",
) -> "tuple[AutoencoderCheckpoint, TransformerCheckpoint]":
    """The networks of a transformer that says what it is, and of the autoencoder that it says or that is named."""
    from dcae_export.models.presets import PRESETS
    from dcae_export.models.source import resolve, resolve_transformer
    from dcae_export.models.transformer_presets import TRANSFORMERS

    weights = recipe.transformer_weights
    network = resolve_transformer(
        weights,
        name=recipe.transformer,
        autoencoder=recipe.variant,
        option="--transformer-weights",
    )
    preset = network.preset
    own = network.trained_on
    said = TRANSFORMERS[preset].autoencoder if own is None else own.preset
    variant = recipe.variant or (said if said in PRESETS else None)
    if recipe.weights is None and variant is None and own is not None:
        raise UsageError(
            f"{weights}: was trained on latents of {own.source}; name that autoencoder by --weights"
        )
    return resolve(recipe.weights, variant=variant), network


def _class_names(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from error
    return tuple(line.strip() for line in lines if line.strip())


def _target(
    recipe: "ExportRecipe",
    checkpoint: "AutoencoderCheckpoint",
    transformer: "TransformerExport | None",
) -> Path:
    from dcae_export.models.identity import CUSTOM
    from dcae_export.models.presets import PRESETS

    chosen = recipe.out or _run_name(recipe)
    if chosen is not None:
        return Path(chosen)
    parts = [checkpoint.preset, *([] if transformer is None else [transformer.checkpoint.preset])]
    if checkpoint.preset not in PRESETS or CUSTOM in parts:
        raise UsageError("these weights are of no published variant; name the bundle with --out")
    return Path(parts[-1])


def _print_result(target: Path) -> None:
    from dcae_export.bundle.reader import Bundle

    manifest = Bundle.open(target, verify_hashes=False).manifest
    size = size_text(sum(file.bytes for file in manifest.files.values()))
    following = f"dcae reconstruct {target} photo.jpg --out back.png"
    if manifest.conditioning is not None:
        labels = manifest.conditioning.num_classes
        label = "" if labels is None else f" --label {labels // 2}"
        following = f"dcae generate {target}{label} --out picture.png"
    click.echo(f"{target}: {size}; next: {following}")
