"""The Python runtime as the suite runs it: ``dcae``, and the two commands that show what it computes with.

python -m runtimes.conformance.python_runtime noise --seed 7 --stream 3 --count 16 --out noise.npy
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from dcae_export.cli.failures import run
from dcae_export.cli.option_types import Size
from dcae_export.cli.program import dcae
from dcae_export.pictures.picture_file import read_picture
from dcae_export.runtime.fit import cover
from dcae_export.runtime.pipeline import Pipeline
from dcae_export.sampling.noise import normals

_UINT64 = click.IntRange(min=0, max=2**64 - 1)


class _Runtime(click.Group):
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or dcae.get_command(ctx, cmd_name)


@click.group(cls=_Runtime)
def program() -> None:
    """``dcae`` with the commands of the suite."""


@program.command()
@click.option("--seed", type=_UINT64, required=True)
@click.option("--stream", type=_UINT64, required=True)
@click.option("--count", type=click.IntRange(min=0), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def noise(*, seed: int, stream: int, count: int, out: Path) -> None:
    """Write the first numbers of a stream: NumPy's .npy, float32 (count,)."""
    np.save(out, normals(seed, stream=stream, count=count))


@program.command()
@click.argument("bundle")
@click.option("--label", "labels", multiple=True)
@click.option("--count", type=click.IntRange(min=1), default=1)
@click.option("--seed", type=_UINT64, default=0)
@click.option("--sampler")
@click.option("--guidance", type=click.FloatRange(min=0))
@click.option("--size", type=Size())
@click.option("--from", "picture", type=click.Path(path_type=Path))
@click.option("--strength", type=click.FloatRange(min=0, max=1, min_open=True), default=0.6)
@click.option("--threads", type=click.IntRange(min=1))
@click.option("--out", type=click.Path(path_type=Path), required=True)
def sample(  # noqa: PLR0913 - one argument for each option
    *,
    bundle: str,
    labels: tuple[str, ...],
    count: int,
    seed: int,
    sampler: str | None,
    guidance: float | None,
    size: tuple[int, int] | None,
    picture: Path | None,
    strength: float,
    threads: int | None,
    out: Path,
) -> None:
    """Write what ``generate`` would decode: NumPy's .npy, float32 (N, channels, h, w), in diffusion scale."""
    pipeline = Pipeline.open(bundle, threads=threads)
    image = None
    if picture is not None:
        image = cover(read_picture(picture), size=pipeline.checked_size(size))
    latents = pipeline.sample(
        [label for label in labels or (None,) for _ in range(count)],
        seed=seed,
        sampler=sampler,
        guidance=guidance,
        size=size if image is None else image.shape[:2],
        image=image,
        strength=1.0 if image is None else strength,
    )
    np.save(out, latents)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program with these arguments, or those of this process; the exit status."""
    return run(program, prog_name="dcae", args=arguments)


if __name__ == "__main__":
    sys.exit(main())
