"""``dcae reconstruct``."""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import click

from dcae_export.cli.bundle_argument import bundle_argument
from dcae_export.cli.command import command_with
from dcae_export.cli.console import finite, json_option, print_json, print_note, print_table
from dcae_export.cli.pictures import names_for, pictures_in
from dcae_export.cli.progress import Progress
from dcae_export.cli.provider_choice import ProviderChoice
from dcae_export.cli.runtime_options import open_autoencoder, picture_options, runtime_options
from dcae_export.errors import InputError, PictureError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dcae_export.pictures.picture_file import Alpha
    from dcae_export.runtime.autoencoder import Autoencoder
    from dcae_export.runtime.fit import Fit

_SHEETS = "sheets"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """One picture to reconstruct, what tables call it, and the files to write."""

    picture: Path
    name: str
    out: Path
    sheet: Path | None

    @property
    def targets(self) -> list[Path]:
        """The files to write."""
        return [self.out] if self.sheet is None else [self.out, self.sheet]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Score:
    """What became of one picture; ``ssim`` is None where it is too small for one."""

    job: _Job
    width: int
    height: int
    psnr_db: float
    ssim: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reconstructor:
    """A bundle, and how pictures are read for it."""

    autoencoder: "Autoencoder"
    fit: "Fit"
    alpha: "Alpha"
    force: bool

    def reconstruct(self, job: _Job) -> _Score:
        """Read, encode, decode, measure and write one picture."""
        from dcae_export.pictures.metrics import psnr_db
        from dcae_export.pictures.picture_file import read_picture, write_picture
        from dcae_export.runtime.fit import Fit, fit

        image = read_picture(job.picture, alpha=self.alpha)
        size = image.shape[0], image.shape[1]
        self.autoencoder.check_size(size, mode=self.fit, name=str(job.picture))
        if self.fit is not Fit.PAD:
            image, _ = fit(image, divisor=self.autoencoder.downsample, mode=self.fit)
        (back,) = self.autoencoder.reconstruct(image)
        similarity = _similarity(image, back)
        for target in job.targets:
            _make_folder_of(target)
        write_picture(job.out, back, force=self.force)
        if job.sheet is not None and similarity is not None:
            from dcae_export.pictures.sheet import side_by_side

            label = f"{job.picture.name}   {self.autoencoder.bundle.manifest.model.preset}"
            write_picture(job.sheet, side_by_side(image, back, label=label), force=self.force)
        if job.sheet is not None and similarity is None:
            print_note(f"{job.picture}: too small for SSIM, and for a sheet, which shows it")
        return _Score(
            job=job,
            width=image.shape[1],
            height=image.shape[0],
            psnr_db=psnr_db(image, back),
            ssim=similarity,
        )


@command_with(
    name="reconstruct",
    examples=(
        "dcae reconstruct dc-ae-f64c128-in-1.0 photo.jpg --out back.png --sheet sheet.png",
        "dcae reconstruct dc-ae-f64c128-in-1.0 photos/ --out back/",
    ),
)
@bundle_argument
@click.argument("picture", type=click.Path(path_type=Path), metavar="PICTURE|FOLDER")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="A picture; for a folder, a folder.",
)
@click.option(
    "--sheet",
    type=click.Path(path_type=Path),
    help="Input, reconstruction and error side by side; a folder gets one for each picture.",
)
@picture_options
@runtime_options
@click.option("--force", is_flag=True, help="Replace existing files.")
@json_option
def command(  # noqa: PLR0913 - one argument for each option
    *,
    bundle: str,
    picture: Path,
    out: Path,
    sheet: Path | None,
    fit: str,
    alpha: str,
    provider: ProviderChoice,
    threads: int | None,
    verify_hashes: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Encode and decode a picture, or a folder of them, and measure the loss.

    For a folder and its subfolders, OUT gets the reconstructions as PNG where the pictures are in FOLDER, and
    OUT/sheets each beside its picture.
    """
    from dcae_export.pictures.picture_file import Alpha
    from dcae_export.runtime.fit import Fit

    is_folder = picture.is_dir()
    plan = _folder_jobs if is_folder else _picture_jobs
    jobs = plan(picture, out, sheet, force=force)
    reconstructor = _Reconstructor(
        autoencoder=open_autoencoder(
            bundle, provider=provider, threads=threads, verify_hashes=verify_hashes
        ),
        fit=Fit(fit),
        alpha=Alpha(alpha),
        force=force,
    )
    scores, unreadable = _reconstruct_all(reconstructor, jobs)
    if not is_folder and unreadable:
        raise unreadable[picture]
    if as_json:
        print_json(_content(bundle, scores, unreadable))
    else:
        _print_scores(out, scores, unreadable, is_folder=is_folder)
    if not scores:
        raise PictureError(f"{picture}: none of its {len(jobs)} pictures could be read")


def _folder_jobs(folder: Path, out: Path, sheet: Path | None, *, force: bool) -> list[_Job]:
    from dcae_export.files.whole_file import require_free

    if sheet is not None:
        raise UsageError(f"--sheet is for one picture; for a folder, sheets go to {out / _SHEETS}")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is no folder; the pictures of a folder go to one")
    if out.resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"{out}: lies in {folder}, so reconstructions would be among its pictures; choose another --out"
        )
    pictures, skipped = pictures_in(folder)
    for skip in skipped.listed:
        print_note(f"left out: {folder / skip.name}: {skip.detail}")
    jobs = [
        _Job(
            picture=folder / picture, name=str(picture), out=out / name, sheet=out / _SHEETS / name
        )
        for picture, name in names_for(pictures).items()
    ]
    writers: dict[Path, str] = {}
    for job in jobs:
        for target in job.targets:
            require_free(target, force=force)
            other = writers.setdefault(target, job.name)
            if other != job.name:
                raise UsageError(f"{other} and {job.name} would both become {target}; rename one")
    return jobs


def _picture_jobs(picture: Path, out: Path, sheet: Path | None, *, force: bool) -> list[_Job]:
    from dcae_export.pictures.picture_file import check_picture_target

    if sheet == out:
        raise UsageError(f"{out}: is named for both --out and --sheet; choose another for one")
    job = _Job(picture=picture, name=picture.name, out=out, sheet=sheet)
    for target in job.targets:
        check_picture_target(target, force=force)
    return [job]


def _make_folder_of(target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{target.parent}: cannot be made: {error.strerror}") from error


def _reconstruct_all(
    reconstructor: _Reconstructor, jobs: list[_Job]
) -> tuple[list[_Score], dict[Path, PictureError | UsageError]]:
    scores: list[_Score] = []
    unreadable: dict[Path, PictureError | UsageError] = {}
    steps = len(jobs) if len(jobs) > 1 else None
    with Progress("reconstructing", steps=steps) as progress:
        # The pace is that of all pictures: with few of them the first one's time is all there is to go by.
        progress.advance(0)
        for job in jobs:
            try:
                scores.append(reconstructor.reconstruct(job))
            # The picture's own fault: damaged, or of a size that the bundle does not take.
            except (PictureError, UsageError) as error:
                unreadable[job.picture] = error
            progress.advance()
    return scores, unreadable


def _similarity(image: "NDArray[np.uint8]", back: "NDArray[np.uint8]") -> float | None:
    from dcae_export.pictures.metrics import ssim

    try:
        return ssim(image, back)
    # Smaller than the window of SSIM.
    except PictureError:
        return None


def _means(scores: list[_Score]) -> tuple[float, float | None]:
    similarities = [score.ssim for score in scores if score.ssim is not None]
    return (
        fmean(score.psnr_db for score in scores),
        fmean(similarities) if similarities else None,
    )


def _content(
    bundle: str, scores: list[_Score], unreadable: dict[Path, PictureError | UsageError]
) -> dict[str, object]:
    psnr, similarity = _means(scores) if scores else (float("nan"), None)
    return {
        "bundle": bundle,
        "pictures": [
            {
                "picture": str(score.job.picture),
                "out": str(score.job.out),
                "sheet": None
                if score.job.sheet is None or score.ssim is None
                else str(score.job.sheet),
                "width": score.width,
                "height": score.height,
                "psnr_db": finite(score.psnr_db),
                "ssim": score.ssim,
            }
            for score in scores
        ],
        "unreadable": [
            {"picture": str(path), "reason": str(error)} for path, error in unreadable.items()
        ],
        "mean": {"psnr_db": finite(psnr), "ssim": similarity},
    }


def _print_scores(
    out: Path,
    scores: list[_Score],
    unreadable: dict[Path, PictureError | UsageError],
    *,
    is_folder: bool,
) -> None:
    for error in unreadable.values():
        print_note(f"left out: {error}")
    if not is_folder:
        (score,) = scores
        click.echo(
            f"{out}: {score.width}x{score.height}, PSNR {score.psnr_db:.2f} dB, "
            f"SSIM {_four_digits(score.ssim)}"
        )
        return
    if scores:
        psnr, similarity = _means(scores)
        rows = [
            (
                score.job.name,
                f"{score.width}x{score.height}",
                f"{score.psnr_db:.2f}",
                _four_digits(score.ssim),
            )
            for score in scores
        ]
        mean = (f"mean of {len(scores)}", "", f"{psnr:.2f}", _four_digits(similarity))
        print_table(("picture", "size", "PSNR dB", "SSIM"), [*rows, mean])
        click.echo(f"{out}: reconstructions; {_SHEETS}/: each beside its picture")
    if unreadable:
        print_note(f"{len(unreadable)} of {len(scores) + len(unreadable)} pictures left out")


def _four_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
