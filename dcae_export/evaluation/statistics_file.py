"""Statistics of a set of pictures as a file: what a Fréchet distance is measured from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

import numpy as np
from numpy.typing import NDArray

from dcae_export.errors import InputError
from dcae_export.evaluation.array_file import read_arrays, write_arrays
from dcae_export.evaluation.moments import Gaussian

_NAMES = ("mu", "sigma", "count", "settings")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Statistics:
    """The distribution of the features of ``count`` pictures, and what they were measured with.

    ``count`` is None, and ``settings`` are empty, where another program wrote the file.
    """

    gaussian: Gaussian
    count: int | None
    settings: Mapping[str, str]

    def write(self, path: Path, *, force: bool) -> None:
        """Write an .npz with ``mu`` and ``sigma``, as pytorch-fid has them, ``count``, and ``settings`` as JSON.

        Raises:
            InputError: The target exists and force is not given, or cannot be written.
            ResourceError: The disk is full.
        """
        arrays: dict[str, NDArray[np.generic]] = {
            "mu": self.gaussian.mean,
            "sigma": self.gaussian.covariance,
            "settings": np.array(json.dumps(dict(self.settings))),
        }
        if self.count is not None:
            arrays["count"] = np.array(self.count, np.int64)
        write_arrays(path, arrays, force=force)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read an .npz with at least ``mu`` (D,) and ``sigma`` (D, D); other arrays are not looked at.

        Raises:
            InputError: The file is damaged, or holds no such statistics.
        """
        if not path.is_file():
            raise InputError(
                f"{path}: no such file; dcae evaluate statistics DIR --out {path} makes it"
            )
        arrays = read_arrays(path, names=_NAMES)
        try:
            gaussian = _gaussian(arrays["mu"], arrays["sigma"])
            count = int(arrays["count"]) if "count" in arrays else None
            settings = _settings(arrays["settings"]) if "settings" in arrays else {}
        except KeyError as error:
            raise InputError(
                f"{path}: has no {error}; statistics come from dcae evaluate statistics"
            ) from error
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: {error}; make it again") from error
        return cls(gaussian=gaussian, count=count, settings=settings)


def _gaussian(mu: NDArray[np.generic], sigma: NDArray[np.generic]) -> Gaussian:
    if mu.ndim != 1 or sigma.shape != (*mu.shape, *mu.shape):
        raise ValueError(
            f"mu of {list(mu.shape)} and sigma of {list(sigma.shape)} do not belong together"
        )
    mean, covariance = mu.astype(np.float64), sigma.astype(np.float64)
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise ValueError("holds values that are not finite")
    return Gaussian(mean=mean, covariance=covariance)


def _settings(array: NDArray[np.generic]) -> dict[str, str]:
    content: object = json.loads(str(array))
    if not isinstance(content, dict):
        raise TypeError("settings are no JSON object")
    return {str(name): str(value) for name, value in cast("dict[object, object]", content).items()}
