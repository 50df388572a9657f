"""``dcae generate``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcae_export.cli.bundle_argument import locate_bundle, optional_bundle_argument
from dcae_export.cli.command import command_with
from dcae_export.cli.console import json_option, print_json, print_note
from dcae_export.cli.demo_bundle import demo_bundle
from dcae_export.cli.option_types import Number, Size, WholeNumber
from dcae_export.cli.progress import Progress
from dcae_export.cli.provider_choice import ProviderChoice
from dcae_export.cli.runtime_options import guidance_option, runtime_options
from dcae_export.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dcae_export.runtime.pipeline import Pipeline


@dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    """What to generate."""

    labels: list[int | str | None]
    seed: int
    sampler: str | None
    guidance: float | None
    size: tuple[int, int] | None
    latents: Path | None
    picture: Path | None
    strength: float

    @property
    def seeds(self) -> list[int]:
        """The seed of each picture, which begins again at 0 after the largest."""
        return [(self.seed + i) % 2**64 for i in range(len(self.labels))]


@command_with(
    name="generate",
    examples=(
        "dcae generate --label clouds --size 2048",
        "dcae generate BUNDLE --label 88 --label 279 --seed 0 --guidance 1.5 --out parrots.png",
        "dcae generate BUNDLE --label macaw --count 4 --each --out macaws/",
        "dcae generate BUNDLE --from photo.png --strength 0.6 --label 88 --out variation.png",
    ),
)
@optional_bundle_argument
@click.option(
    "--label",
    "labels",
    multiple=True,
    help="A class by number or name; once for each picture.  [default: none: unconditional]",
)
@click.option(
    "--count",
    type=WholeNumber(min=1),
    default=1,
    show_default=True,
    help="Pictures of each label.",
)
@click.option(
    "--seed",
    type=WholeNumber(min=0, max=2**64 - 1),
    default=0,
    show_default=True,
    help="Picture i draws from SEED + i.",
)
@click.option(
    "--sampler",
    metavar="NAME:N",
    help="A sampler of the bundle, with its steps.  [default: its own]",
)
@guidance_option
@click.option(
    "--size",
    type=Size(),
    metavar="512|WIDTHxHEIGHT",
    help="Without a BUNDLE: 512, 1024 or 2048.  [default: the bundle's]",
)
@click.option(
    "--latents",
    type=click.Path(path_type=Path),
    help="The noise to begin with, .npy float32 (N, channels, h, w), in place of the seed's.",
)
@click.option(
    "--from",
    "picture",
    type=click.Path(path_type=Path),
    help="A picture to vary; it is scaled to cover the size, and its centre cut out.",
)
@click.option(
    "--strength",
    type=Number(min=0, max=1, min_open=True),
    help="With --from: the share of the steps that are run.  [default: 0.6]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A picture; with --each, a folder.  [default: ./ and the first label and seed]",
)
@click.option("--each", is_flag=True, help="One file for each picture, not one sheet of all.")
@runtime_options
@click.option("--force", is_flag=True, help="Replace existing files.")
@json_option
def command(  # noqa: PLR0913 - one argument for each option
    *,
    bundle: str | None,
    labels: tuple[str, ...],
    count: int,
    seed: int,
    sampler: str | None,
    guidance: float | None,
    size: tuple[int, int] | None,
    latents: Path | None,
    picture: Path | None,
    strength: float | None,
    out: Path | None,
    each: bool,
    provider: ProviderChoice,
    threads: int | None,
    verify_hashes: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Generate pictures: one seed, one picture, whatever the batch.

    Several pictures become one sheet, or with --each a file each, named after label and seed. Without a BUNDLE the
    demo model draws: bricks, bubbles, clouds, hills, leaves, marble, mosaics, neon, stars or stripes. Its bundle is made on
    first use, which takes the extra [export], and kept in ~/.cache.
    """
    from dcae_export.runtime.pipeline import Pipeline

    if strength is not None and picture is None:
        raise UsageError("--strength goes with --from")
    request = _Request(
        labels=[label for label in labels or (None,) for _ in range(count)],
        seed=seed,
        sampler=sampler,
        guidance=guidance,
        size=size,
        latents=latents,
        picture=picture,
        strength=0.6 if strength is None else strength,
    )
    targets = _targets(out, request, each=each, force=force)
    if not verify_hashes:
        print_note("--no-verify: the hashes of the bundle's files are not checked")
    options = provider.resolve()
    pipeline = Pipeline.open(
        demo_bundle(size) if bundle is None else locate_bundle(bundle),
        provider=options,
        threads=threads,
        memory_limit=provider.memory_limit,
        verify_hashes=verify_hashes,
    )
    _write(_generate(pipeline, request), targets, force=force)
    if pipeline.bundle.manifest.model.has_random_weights:
        print_note("random weights: the picture is noise")
    if as_json:
        print_json(_content(pipeline, request, targets))
    else:
        for target in targets:
            click.echo(str(target))


def _targets(out: Path | None, request: _Request, *, each: bool, force: bool) -> list[Path]:
    """The files to write, looked at before the work: one, or with ``each`` one for each picture."""
    from dcae_export.files.whole_file import require_free
    from dcae_export.pictures.picture_file import check_picture_target

    names = [
        f"{_file_stem(label)}-{seed}.png"
        for label, seed in zip(request.labels, request.seeds, strict=True)
    ]
    if not each:
        target = Path(names[0]) if out is None else out
        check_picture_target(target, force=force)
        return [target]
    out = Path() if out is None else out
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is no folder; --each writes its pictures to one")
    targets = [out / name for name in names]
    for target in targets:
        require_free(target, force=force)
    return targets


def _file_stem(label: int | str | None) -> str:
    text = "picture" if label is None else str(label)
    return "".join(char if char.isalnum() else "-" for char in text)[:60]


def _generate(pipeline: "Pipeline", request: _Request) -> "NDArray[np.uint8]":
    from dcae_export.runtime.latent import read_noise

    image = None if request.picture is None else _picture(pipeline, request, request.picture)
    strength = 1.0 if image is None else request.strength
    steps = pipeline.evaluations(
        len(request.labels),
        sampler=request.sampler,
        guidance=request.guidance,
        strength=strength,
        size=request.size if image is None else (image.shape[0], image.shape[1]),
    )
    with Progress("generating", steps=steps) as progress:

        def on_step(step: int, count: int) -> None:
            progress.advance()
            if step == count:
                progress.stage("decoding")

        def on_picture(picture: int, count: int) -> None:
            if count > 1:
                progress.stage(f"decoding: {picture} of {count}")

        return pipeline.generate(
            request.labels,
            seed=request.seed,
            sampler=request.sampler,
            guidance=request.guidance,
            latents=None if request.latents is None else read_noise(request.latents),
            size=request.size if image is None else (image.shape[0], image.shape[1]),
            image=image,
            strength=strength,
            on_step=on_step,
            on_picture=on_picture,
        )


def _picture(pipeline: "Pipeline", request: _Request, path: Path) -> "NDArray[np.uint8]":
    from dcae_export.pictures.picture_file import read_picture
    from dcae_export.runtime.fit import cover

    size = pipeline.checked_size(
        request.size, images=len(request.labels), guidance=request.guidance
    )
    return cover(read_picture(path), size=size)


def _write(images: "NDArray[np.uint8]", targets: list[Path], *, force: bool) -> None:
    from dcae_export.pictures.picture_file import write_picture
    from dcae_export.pictures.tile import tile

    pictures = list(images) if len(targets) == len(images) else [tile(images)]
    for target, picture in zip(targets, pictures, strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        write_picture(target, picture, force=force)


def _content(pipeline: "Pipeline", request: _Request, targets: list[Path]) -> dict[str, object]:
    samplers = pipeline.samplers
    return {
        "out": [str(target) for target in targets],
        "labels": request.labels,
        "seeds": request.seeds,
        "sampler": request.sampler or samplers.default,
        "guidance": samplers.default_guidance if request.guidance is None else request.guidance,
        "random_weights": pipeline.bundle.manifest.model.has_random_weights,
    }
