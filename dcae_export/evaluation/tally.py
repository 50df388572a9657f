"""What a process has measured so far: values by item, moments of features, and what was left out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dcae_export.evaluation.moments import Moments
from dcae_export.pictures.skipped import Skip, SkipReason

_VALUES = "values."
_MOMENTS = "moments."
_DONE = "done"
_SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What a batch of items gave: a value for each of them that was not left out, and features (N, D), by name."""

    items: int
    values: Mapping[str, Sequence[float]] = field(default_factory=dict[str, Sequence[float]])
    features: Mapping[str, NDArray[np.float32]] = field(
        default_factory=dict[str, NDArray[np.float32]]
    )
    skipped: Sequence[Skip] = ()


class Tally:
    """The sum of what was measured of the first ``done`` items of a share."""

    def __init__(self) -> None:
        self.done = 0
        self.values: dict[str, list[float]] = {}
        self.moments: dict[str, Moments] = {}
        self.skipped: list[Skip] = []

    def add(self, measured: Measured) -> None:
        """Take in what the next items gave.

        Raises:
            ParityError: Features are not finite.
        """
        for name, features in measured.features.items():
            self.moments.setdefault(name, Moments.empty(features.shape[1])).add(features)
        for name, values in measured.values.items():
            self.values.setdefault(name, []).extend(values)
        self.skipped.extend(measured.skipped)
        self.done += measured.items

    def merge(self, other: "Tally") -> None:
        """Take in what another process measured of the items after these."""
        for name, moments in other.moments.items():
            self.moments.setdefault(name, Moments.empty(len(moments.mean))).merge(moments)
        for name, values in other.values.items():
            self.values.setdefault(name, []).extend(values)
        self.skipped.extend(other.skipped)
        self.done += other.done

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """All of it as arrays by name."""
        skipped = [[skip.name, skip.reason.value, skip.detail] for skip in self.skipped]
        arrays: dict[str, NDArray[np.generic]] = {
            _DONE: np.array(self.done, np.int64),
            _SKIPPED: text_array(json.dumps(skipped)),
        }
        for name, values in self.values.items():
            arrays[f"{_VALUES}{name}"] = np.array(values, np.float64)
        for name, moments in self.moments.items():
            arrays[f"{_MOMENTS}{name}.count"] = np.array(moments.count, np.int64)
            arrays[f"{_MOMENTS}{name}.mean"] = moments.mean
            arrays[f"{_MOMENTS}{name}.deviations"] = moments.deviations
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """The tally of ``to_arrays``, with the same bits.

        Raises:
            KeyError, ValueError, TypeError: These are not such arrays.
        """
        tally = cls()
        tally.done = int(arrays[_DONE])
        tally.skipped = [
            Skip(name=str(name), reason=SkipReason(reason), detail=str(detail))
            for name, reason, detail in json.loads(array_text(arrays[_SKIPPED]))
        ]
        for name, array in arrays.items():
            if name.startswith(_VALUES):
                tally.values[name.removeprefix(_VALUES)] = array.astype(np.float64).tolist()
            elif name.startswith(_MOMENTS) and name.endswith(".count"):
                key = name.removesuffix(".count")
                tally.moments[key.removeprefix(_MOMENTS)] = _moments(
                    int(array), arrays[f"{key}.mean"], arrays[f"{key}.deviations"]
                )
        return tally


def text_array(text: str) -> NDArray[np.uint8]:
    """Text of any length as the bytes of its UTF-8."""
    return np.frombuffer(text.encode(), np.uint8)


def array_text(array: NDArray[np.generic]) -> str:
    """The text of ``text_array``."""
    return array.tobytes().decode()


def _moments(count: int, mean: NDArray[np.generic], deviations: NDArray[np.generic]) -> Moments:
    if mean.ndim != 1 or deviations.shape != (*mean.shape, *mean.shape):
        raise ValueError(f"moments of {list(mean.shape)} and {list(deviations.shape)}")
    return Moments(
        count=count, mean=mean.astype(np.float64), deviations=deviations.astype(np.float64)
    )
