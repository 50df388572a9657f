"""Which files of a folder are pictures, and what is made of them is called."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from dcae_export.errors import PictureError

if TYPE_CHECKING:
    from dcae_export.pictures.skipped import Skipped


def pictures_in(folder: Path) -> "tuple[list[Path], Skipped]":
    """The pictures of a folder and its subfolders, relative to it and in their order, and what was not entered.

    Raises:
        PictureError: The folder cannot be read, or holds none.
    """
    from dcae_export.pictures.folder_scan import picture_names

    names, skipped = picture_names(folder)
    if not len(names):
        raise PictureError(f"{folder}: holds no PNG, JPEG or WebP file; name another folder")
    return [Path(name) for name in names], skipped


def names_for(pictures: list[Path]) -> dict[Path, Path]:
    """A .png name for each picture: its own, with its old suffix kept where two would meet."""
    plain = [picture.with_suffix(".png") for picture in pictures]
    # A file system may not tell upper case from lower.
    taken = Counter(str(name).casefold() for name in plain)
    return {
        picture: name
        if taken[str(name).casefold()] == 1
        else picture.with_name(f"{picture.name}.png")
        for picture, name in zip(pictures, plain, strict=True)
    }
