"""Put two finished runs into the package as its demo model: ``python -m recipes.demo.ship --help``.

Weights become float16; the same runs give the same bytes.
"""

import dataclasses
import secrets
import shutil
import sys
from pathlib import Path
from typing import Final

import click
import torch
from torch import Tensor

from dcae_export.cli.failures import run
from dcae_export.errors import InputError, WeightsError
from dcae_export.files.folder_swap import put_in_place
from dcae_export.files.sha256 import sha256
from dcae_export.models import shipped
from dcae_export.models.checkpoint_folder import CARD_NAME, CONFIG_NAME
from dcae_export.models.finished_run import is_run, model_of
from dcae_export.models.key_map import Layout
from dcae_export.models.latent_source import LatentSource
from dcae_export.models.source import resolve, resolve_transformer
from dcae_export.models.tensor_files import read_json_object
from dcae_export.models.transformer_declaration import TransformerDeclaration
from dcae_export.models.transformer_weights import load_transformer_checkpoint, save_transformer
from dcae_export.models.weights import AutoencoderCheckpoint, load_checkpoint, save_checkpoint
from dcae_export.training.autoencoder.recipe import AutoencoderRecipe
from dcae_export.training.diffusion.recipe import DiffusionRecipe
from dcae_export.training.run_recipe import stored_recipe
from recipes.demo.photographs import PHOTOGRAPHS
from recipes.demo.table import FAMILIES

_PARTS: Final[tuple[shipped.Part, ...]] = ("autoencoder", "transformer")

_CARD: Final = """\
---
license: apache-2.0
---
The {part} of dcae-export's demo model; [where it is from](../README.md).
"""

_README: Final = """\
# The demo model

`{autoencoder}` and `{transformer}`, a small DC-AE and a small U-ViT for its latents: for first
steps without a network, tests and examples. Trained on drawn pictures, and on few photographs.

- **Made by** `make demo-model` of dcae-export, whose docs/demo-model.md has the commands; no other weights were used.
  Weights were rounded to float16.
- **Drawn pictures**, for both networks: by rules, from seeds, by recipes/demo.
  Families: {families}.
- **Photographs**, for the autoencoder: random crops of those that scikit-image comes with, but never its astronaut and
  its coffee. Used: {photographs}.
- **Licence**: Apache-2.0, as dcae-export.

| training | course |
|---|---|
{runs}

| file | bytes | sha256 |
|---|---|---|
{files}
"""


@click.command(name="ship")
@click.option("--autoencoder", type=click.Path(path_type=Path), required=True, metavar="RUN")
@click.option("--transformer", type=click.Path(path_type=Path), required=True, metavar="RUN")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=shipped.FOLDER,
    metavar="FOLDER",
    help="The demo model's folder; one that is there is replaced.  [default: the package's]",
)
def command(*, autoencoder: Path, transformer: Path, out: Path) -> None:
    """Write the networks of two runs as the package's demo model, whole or not at all."""
    size = ship(autoencoder, transformer, out)
    click.echo(f"{out}: {size} bytes of at most {shipped.MAX_BYTES}")


def ship(autoencoder: Path, transformer: Path, out: Path) -> int:
    """Write the demo model's folder.

    Args:
        autoencoder: A finished run of ``f64-demo``.
        transformer: A finished run on the latents of that one.
        out: The folder.

    Returns:
        The bytes of all its files.

    Raises:
        InputError, ConfigError: Something is no finished run of its kind, the folder holds something else, or the files are too large.
        WeightsError: The autoencoder has another graph, the transformer was trained on other latents, or a weight is
            too large for float16.
    """
    runs = [*_told_phases(autoencoder), *_told_transformer(transformer)]
    _refuse_other_folder(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    staging = out.with_name(f".{out.name}.{secrets.token_hex(4)}.partial")
    try:
        staging.mkdir()
        _write_networks(autoencoder, transformer, staging)
        _write_texts(runs, staging)
        for path in _files(staging):
            # safetensors' writer leaves them to their owner alone.
            path.chmod(0o644)
        size = sum(path.stat().st_size for path in _files(staging))
        if size > shipped.MAX_BYTES:
            raise InputError(
                f"{out}: would take {size} bytes, at most {shipped.MAX_BYTES} go into the package; "
                "choose a smaller transformer"
            )
        put_in_place(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return size


def _write_networks(autoencoder: Path, transformer: Path, staging: Path) -> None:
    trained = resolve(str(autoencoder), variant=shipped.AUTOENCODER_NAME)
    network = resolve_transformer(str(transformer), name=None, autoencoder=None)
    _require_own(network.trained_on, trained, transformer)
    halved = dataclasses.replace(trained, state=_halved(trained.state, autoencoder))
    save_checkpoint(halved, staging / "autoencoder", layout=Layout.DIFFUSERS)
    # Rounding moves the encoder a little, and its digest altogether: the transformer's own is the one that is shipped.
    said = TransformerDeclaration.read(read_json_object(model_of(transformer) / CONFIG_NAME))
    own = dataclasses.replace(
        load_checkpoint(staging / "autoencoder"),
        preset=shipped.AUTOENCODER_NAME,
        source=shipped.source_name("autoencoder"),
    )
    save_transformer(
        said.model_copy(update={"autoencoder": LatentSource.of(own)}),
        _halved(network.state, transformer),
        staging / "transformer",
        force=False,
    )
    load_transformer_checkpoint(staging / "transformer")


def _require_own(
    own: LatentSource | None, autoencoder: AutoencoderCheckpoint, transformer: Path
) -> None:
    made = LatentSource.of(autoencoder)
    if own is None or (own.encoder_sha256, own.scaling_factor) != (
        made.encoder_sha256,
        made.scaling_factor,
    ):
        raise WeightsError(
            f"{transformer}: was not trained on latents of {autoencoder.source}; name the run that it was trained on"
        )


def _halved(state: dict[str, Tensor], source: Path) -> dict[str, Tensor]:
    """The state with its floats in float16."""
    halved = {
        key: tensor.to(torch.float16) if tensor.is_floating_point() else tensor
        for key, tensor in state.items()
    }
    for key, tensor in halved.items():
        if not bool(tensor.isfinite().all()):
            raise WeightsError(f"{source}: {key} is too large for float16")
    return halved


def _told_phases(run: Path) -> list[str]:
    """What the recipes of an autoencoder's runs say, from the first phase on, without a path of this machine."""
    recipe = stored_recipe(run, AutoencoderRecipe)
    before = None if recipe.init_from is None else Path(recipe.init_from)
    earlier = _told_phases(before) if before is not None and is_run(before) else []
    return [
        *earlier,
        f"| autoencoder, {recipe.phase} | {recipe.steps} steps of {recipe.batch_size} crops of {recipe.size} px |",
    ]


def _told_transformer(run: Path) -> list[str]:
    """The same of a transformer's runs."""
    recipe = stored_recipe(run, DiffusionRecipe)
    before = None if recipe.init_from is None else Path(recipe.init_from)
    earlier = _told_transformer(before) if before is not None and is_run(before) else []
    network = recipe.transformer
    what = f"transformer, {network.family} of depth {network.depth} and width {network.width}"
    return [
        *earlier,
        f"| {what} | {recipe.steps} steps of {recipe.batch_size} latents of the smallest size |",
    ]


def _write_texts(runs: list[str], staging: Path) -> None:
    for part in _PARTS:
        (staging / part / CARD_NAME).write_text(_CARD.format(part=part), encoding="utf-8")
    text = _README.format(
        autoencoder=shipped.AUTOENCODER_NAME,
        transformer=shipped.TRANSFORMER_NAME,
        families=", ".join(sorted(FAMILIES)),
        photographs=", ".join(Path(name).stem for name in PHOTOGRAPHS),
        runs="\n".join(runs),
        files="\n".join(_row(path, staging) for path in _files(staging)),
    )
    (staging / CARD_NAME).write_text(text, encoding="utf-8")


def _row(path: Path, folder: Path) -> str:
    name = path.relative_to(folder).as_posix()
    with path.open("rb") as file:
        return f"| `{name}` | {path.stat().st_size} | `{sha256(file)}` |"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _refuse_other_folder(out: Path) -> None:
    if not out.exists():
        return
    others = {path.name for path in out.iterdir()} - {*_PARTS, CARD_NAME}
    if others:
        raise InputError(f"{out}: holds more than a demo model ({min(others)}); not replaced")


if __name__ == "__main__":
    sys.exit(run(command, prog_name="python -m recipes.demo.ship"))
