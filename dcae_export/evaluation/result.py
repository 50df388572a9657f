"""What an evaluation found: figures, beside those that were published."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

from dcae_export.evaluation.published import Published, Standing


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One number over ``count`` pictures.

    ``value`` is None where it was not measured; ``note`` then says why, and else may say how. ``trial`` is what a
    network of random weights gave in the value's place, None without one. ``published`` is the figure that was
    published for the same network, None without one.

    Raises:
        ValueError: A value or trial that is not finite, or no value without the reason.
    """

    name: str
    value: float | None
    count: int
    better: Literal["lower", "higher"]
    unit: str = ""
    note: str = ""
    trial: float | None = None
    published: Published | None = None

    def __post_init__(self) -> None:
        if self.value is None and not self.note:
            raise ValueError(f"{self.name}: a figure without a value needs a note that says why")
        for number in (self.value, self.trial):
            if number is not None and not math.isfinite(number):
                raise ValueError(f"{self.name}: {number} is no figure; leave it out with a note")

    @property
    def standing(self) -> Standing | None:
        """How the value stands to the published one, both in the digits that were published.

        None where they cannot be compared: one of them is missing or not confirmed, or is over another number of
        pictures, on which a Fréchet distance depends.
        """
        if self.value is None or self.published is None or not self.published.confirmed:
            return None
        if self.count != self.published.count:
            return None
        measured = round(Decimal(self.value), self.published.decimals)
        if measured == self.published.value:
            return Standing.EQUAL
        lower = measured < self.published.value
        return Standing.BETTER if lower == (self.better == "lower") else Standing.WORSE

    def as_json(self) -> dict[str, object]:
        """The figure as JSON's types, its value in full."""
        return {
            "name": self.name,
            "value": self.value,
            "trial": self.trial,
            "unit": self.unit,
            "count": self.count,
            "better": self.better,
            "note": self.note,
            "published": self.published and self.published.as_json(),
            "standing": self.standing and self.standing.value,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One evaluation.

    ``subject`` is what was evaluated, as the user named it; ``settings`` what the figures depend on, ready to read:
    sizes, providers, versions, weights with their sha256. ``distributions`` hold a value for each picture, by name and
    unit ("PSNR, dB"); those that are not finite, as the PSNR of equal pictures, are counted and not drawn.
    ``pictures`` are sheets as PNG files.
    """

    kind: Literal["reconstruction", "generation", "clip"]
    subject: str
    settings: Mapping[str, str]
    figures: tuple[Figure, ...]
    distributions: Mapping[str, tuple[float, ...]]
    pictures: tuple[Path, ...]

    def as_json(self) -> dict[str, object]:
        """The result as JSON's types; a value that is not finite is null."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "settings": dict(self.settings),
            "figures": [figure.as_json() for figure in self.figures],
            "distributions": {
                name: [value if math.isfinite(value) else None for value in values]
                for name, values in self.distributions.items()
            },
            "pictures": [str(path) for path in self.pictures],
        }
