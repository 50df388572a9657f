"""Which files are pictures, and where what is made of them goes."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dcae_export.runtime.image import Alpha, Fit

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def check_picture_target(path: Path, *, force: bool) -> None:
    """Check before the work that a picture can be written.

    Raises:
        UsageError: The suffix names no format that is written.
        InputError: The target exists and force is not given, or its folder does not exist.
    """
    from dcae_export.errors import InputError, UsageError
    from dcae_export.runtime.whole_file import require_free

    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: the suffix {path.suffix!r} is none of .png, .jpg and .webp")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}; make it first")
    require_free(path, force=force)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder by name; folders inside it are not entered.

    Raises:
        PictureError: There is none.
    """
    from dcae_export.errors import PictureError

    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    if not found:
        raise PictureError(f"{folder}: holds no PNG, JPEG or WebP file; name another folder")
    return found


def names_for(pictures: list[Path]) -> dict[Path, str]:
    """A .png name for each picture: its own, with its old suffix kept where two would meet."""
    stems = [picture.stem.casefold() for picture in pictures]
    return {
        picture: f"{picture.stem if stems.count(stem) == 1 else picture.name}.png"
        for picture, stem in zip(pictures, stems, strict=True)
    }


def alpha_of(name: str) -> "Alpha":
    """The background that ``--alpha`` names."""
    from dcae_export.runtime.image import Alpha

    return {"white": Alpha.WHITE, "black": Alpha.BLACK}[name]


def fit_of(name: str) -> "Fit":
    """The way to fit that ``--fit`` names."""
    from dcae_export.runtime.image import Fit

    return {"pad": Fit.PAD, "crop": Fit.CROP, "resize": Fit.RESIZE}[name]
