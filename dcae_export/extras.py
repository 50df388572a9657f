"""The command that installs an optional part of this package, from where the package itself came."""

import json
import shlex
from importlib import metadata
from pathlib import Path
from typing import Required, TypedDict, cast
from urllib.parse import unquote, urlsplit

DISTRIBUTION = "dcae-export"
# Of a checkout: the versions that go together.
_CONSTRAINTS, _GPU_CONSTRAINTS = "constraints.txt", "constraints-gpu.txt"
_GPU_EXTRAS = ("gpu", "tensorrt")


class _Folder(TypedDict, total=False):
    editable: bool


class _Repository(TypedDict):
    vcs: str


class _Origin(TypedDict, total=False):
    """What pip writes down of a package that came from no index (PEP 610)."""

    url: Required[str]
    dir_info: _Folder
    vcs_info: _Repository


def install_command(extra: str) -> str:
    """The line to type for an extra: with the folder, file or address that this installation came from, if it still is.

    A name alone would send whoever installed a checkout to an index that may know no such package.
    """
    named = f"{DISTRIBUTION}[{extra}]"
    origin = _origin()
    if origin is None:
        return f"pip install '{named}'"
    address = urlsplit(origin["url"])
    if address.scheme != "file":
        scheme = f"{origin['vcs_info']['vcs']}+" if "vcs_info" in origin else ""
        return f"pip install {shlex.quote(f'{named} @ {scheme}{address.geturl()}')}"
    path = Path(unquote(address.path))
    if not path.exists():
        return f"pip install '{named}'"
    words = ["pip", "install"]
    constraints = path / (_GPU_CONSTRAINTS if extra in _GPU_EXTRAS else _CONSTRAINTS)
    if constraints.is_file():
        words += ["-c", str(constraints)]
    if origin.get("dir_info", {}).get("editable"):
        words.append("-e")
    return shlex.join([*words, f"{path}[{extra}]"])


def _origin() -> _Origin | None:
    """None for an installation from an index, or one that pip did not make."""
    try:
        text = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    return None if text is None else cast("_Origin", json.loads(text))
