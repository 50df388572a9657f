"""The captions of a folder's pictures: a text file beside each, or one captions.json for all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

from dcae_export.errors import InputError

CAPTIONS_NAME: Final = "captions.json"
# A caption is a sentence; a million of them are 100 MB.
_MAX_CAPTION_BYTES: Final = 2**16
_MAX_JSON_BYTES: Final = 2**28


class Captions:
    """Captions by the names of pictures, relative to their folder."""

    def __init__(self, folder: Path) -> None:
        """Look for ``captions.json`` in a folder; without one, ``a.png`` has its caption in ``a.txt``.

        Raises:
            InputError: It is there and is no object of captions by names.
        """
        self._folder = folder
        path = folder / CAPTIONS_NAME
        self._listed = _read_listed(path) if path.exists() else None

    def of(self, name: str) -> str:
        """The caption of a picture, without white space around it.

        Raises:
            InputError: It has none, or an empty one.
        """
        if self._listed is None:
            place = (self._folder / name).with_suffix(".txt")
            caption = _read_text(place, _MAX_CAPTION_BYTES).strip()
        else:
            place = self._folder / CAPTIONS_NAME
            caption = self._listed.get(name, "").strip()
        if not caption:
            raise InputError(
                f"{place}: holds no caption for {name}; write one, or take the picture away"
            )
        return caption


def _read_listed(path: Path) -> Mapping[str, str]:
    try:
        content: object = json.loads(_read_text(path, _MAX_JSON_BYTES))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no JSON: {error}; mend it") from error
    if not isinstance(content, dict):
        raise InputError(f'{path}: captions are one object, as in {{"a.png": "a cat"}}')
    captions = cast("dict[str, object]", content)
    for name, caption in captions.items():
        if not isinstance(caption, str):
            raise InputError(f"{path}: the caption of {name} is no text; mend it")
    return cast("dict[str, str]", captions)


def _read_text(path: Path, max_bytes: int) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise InputError(f"{path}: more than {max_bytes} bytes, which no caption has")
        return data.decode()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}; a caption is a .txt beside its picture, or in "
            f"{CAPTIONS_NAME}"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no UTF-8: {error.reason}; save it as UTF-8") from error
