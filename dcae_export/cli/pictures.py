"""Which files of a folder are pictures, and what is made of them is called."""

from pathlib import Path

from dcae_export.errors import PictureError


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder by name; folders inside it are not entered.

    Raises:
        PictureError: There is none.
    """
    from dcae_export.pictures.picture_file import SUFFIXES

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
