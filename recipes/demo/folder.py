"""The folder that pictures are written into."""

from pathlib import Path

from dcae_export.errors import InputError


def make_folder(path: Path) -> None:
    """Make a folder, and those that it is in, where they are not there.

    Raises:
        InputError: It cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be made: {error.strerror}; choose another folder"
        ) from error
