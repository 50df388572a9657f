"""What ``cases.json`` holds: requests that a runtime must meet, and bundles that it must refuse."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

CASES = Path(__file__).with_name("cases.json")

Key = str | int
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Noise(_Record):
    """The first ``count`` numbers of a stream, as little-endian float32, have this sha256."""

    seed: int
    stream: int
    count: int
    sha256: str


class Request(_Record):
    """What to generate; what is None is left to the bundle. ``size`` is (width, height) in pixels.

    ``picture`` is one of the suite's, of the request's size: image to image.
    """

    labels: tuple[str, ...] = ()
    count: int = 1
    seed: int = 0
    sampler: str | None = None
    guidance: float | None = None
    size: tuple[int, int] | None = None
    picture: Name | None = None
    strength: float | None = None


class Generation(_Record):
    """A request to a bundle of the suite, whose latents are known, and its ``pictures`` unless that is False."""

    name: Name
    bundle: Name
    request: Request
    pictures: bool = True


class Roundtrip(_Record):
    """A picture of the suite through a bundle: its latent, the latent's picture, its reconstruction."""

    name: Name
    bundle: Name
    picture: Name


class Picture(_Record):
    """A picture of noise, drawn from its seed: (width, height) in pixels."""

    size: tuple[int, int]
    seed: int


class Usage(_Record):
    """A call that no bundle could meet: it ends with the status, and its error holds each text of ``says``.

    In ``arguments``, ``{bundle}`` is the bundle's folder, ``{pictures}`` that of the suite's pictures and ``{out}`` a new
    folder; nothing may be in that afterwards.
    """

    name: Name
    bundle: Name
    arguments: tuple[str, ...]
    status: int
    says: tuple[str, ...] = ()


class Repeated(_Record):
    """``text`` so many times, ``before`` and ``after`` once: what would be too long to write."""

    before: str = ""
    text: str
    times: int
    after: str = ""

    def value(self) -> str:
        """The whole text."""
        return self.before + self.text * self.times + self.after


class Set(_Record):
    """Set the value at the end of a path of keys in the manifest."""

    do: Literal["set"]
    at: tuple[Key, ...]
    value: JsonValue


class SetRepeated(_Record):
    """As ``set``, of a text that repeats itself; with ``items`` a list of so many of it."""

    do: Literal["set repeated"]
    at: tuple[Key, ...]
    value: Repeated
    items: int | None = None


class SetCopies(_Record):
    """Put ``times`` copies of a value of the manifest into the list or object at a path.

    An object's keys are ``key`` with ``{}`` replaced by a number.
    """

    do: Literal["set copies"]
    at: tuple[Key, ...]
    of: tuple[Key, ...]
    times: int
    key: str | None = None


class Remove(_Record):
    """Remove what is at the end of a path of keys in the manifest."""

    do: Literal["remove"]
    at: tuple[Key, ...]


class Reverse(_Record):
    """Reverse the list at the end of a path of keys in the manifest."""

    do: Literal["reverse"]
    at: tuple[Key, ...]


class ReplaceText(_Record):
    """Replace the first occurrence of a pattern in the manifest's text, whatever JSON that makes."""

    do: Literal["replace text"]
    pattern: str
    text: str


class Manifest(_Record):
    """The whole text of the manifest."""

    do: Literal["manifest"]
    text: str | Repeated


class ManifestBytes(_Record):
    """The whole manifest in hexadecimal, for what is no text."""

    do: Literal["manifest bytes"]
    hex: str


class ManifestSize(_Record):
    """Fill the manifest with spaces up to a size in bytes."""

    do: Literal["manifest size"]
    size: int


class Flip(_Record):
    """Change one bit of a file, at a share of its length, and tell the manifest nothing."""

    do: Literal["flip"]
    file: str
    at: float


class Truncate(_Record):
    """Cut a file to a share of its length, and tell the manifest nothing."""

    do: Literal["truncate"]
    file: str
    to: float


class Append(_Record):
    """Add a zero byte to a file, and tell the manifest nothing."""

    do: Literal["append"]
    file: str


class Delete(_Record):
    """Delete a file."""

    do: Literal["delete"]
    file: str


class Link(_Record):
    """Move a file or a folder out of the bundle, or beside itself, and leave a link to it."""

    do: Literal["link"]
    file: str
    to: Literal["outside", "inside", "nowhere"]


class Become(_Record):
    """Put something else in the place of a file or folder."""

    do: Literal["become"]
    file: str
    what: Literal["folder", "file", "pipe"]


class Write(_Record):
    """Replace the bytes of a file, or add one, and list it as someone would who wants it to be taken for good."""

    do: Literal["write"]
    file: str
    hex: str = ""
    text: str = ""


class Array(_Record):
    """Replace an array of the bundle by one of another type, shape, order or content, and list it."""

    do: Literal["array"]
    file: str
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    fortran_order: bool = False
    first_value: Literal["nan", "inf"] | None = None


class Graph(_Record):
    """Change an ONNX file, and list it."""

    do: Literal["graph"]
    file: str
    change: Literal[
        "external location",
        "external attribute",
        "external past the end",
        "external without the mark",
        "operator",
        "operator of another domain",
        "operator in a function",
        "operator in a subgraph",
        "metadata",
        "no metadata",
        "operator set",
        "nan weight",
        "cut",
    ]
    text: str = ""


Damage = Annotated[
    Set
    | SetRepeated
    | SetCopies
    | Remove
    | Reverse
    | ReplaceText
    | Manifest
    | ManifestBytes
    | ManifestSize
    | Flip
    | Truncate
    | Append
    | Delete
    | Link
    | Become
    | Write
    | Array
    | Graph,
    Field(discriminator="do"),
]


class Hostile(_Record):
    """A damaged copy of a bundle, what is asked of it, and the error that this must end with."""

    name: str
    bundle: Name
    damage: tuple[Damage, ...]
    arguments: tuple[str, ...] = ("verify", "{bundle}")
    status: int
    says: tuple[str, ...] = ()


class Cases(_Record):
    """The whole suite; ``tables`` are samplers that are added to the bundles as they are."""

    tables: dict[Name, dict[str, JsonValue]]
    pictures: dict[Name, Picture]
    noise: tuple[Noise, ...]
    generations: tuple[Generation, ...]
    roundtrips: tuple[Roundtrip, ...]
    usage: tuple[Usage, ...]
    hostile: tuple[Hostile, ...]


def read_cases(path: Path = CASES) -> Cases:
    """The cases of a file."""
    return Cases.model_validate_json(path.read_bytes())
