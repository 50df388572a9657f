"""The folder of a made suite."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Suite:
    """Where the parts of a suite are."""

    folder: Path

    @property
    def bundles(self) -> Path:
        """The folder of the bundles."""
        return self.folder / "bundles"

    @property
    def pictures(self) -> Path:
        """The folder of the pictures."""
        return self.folder / "pictures"

    @property
    def golden(self) -> Path:
        """The folder of what cases have to give."""
        return self.folder / "golden"

    @property
    def made_with(self) -> Path:
        """What the suite was made with: equal bits are asked for with the same ONNX Runtime only."""
        return self.folder / "made-with.json"

    def bundle(self, name: str) -> Path:
        """A bundle's folder."""
        return self.bundles / name

    def picture(self, name: str) -> Path:
        """A picture's file."""
        return self.pictures / f"{name}.png"

    def expected(self, name: str) -> dict[str, NDArray[np.generic]]:
        """The arrays that a case has to give."""
        with np.load(self.golden / f"{name}.npz") as arrays:
            return dict(arrays)

    @staticmethod
    def read_picture(path: Path) -> NDArray[np.uint8]:
        """A picture as (height, width, 3) RGB."""
        picture = cv2.imread(str(path))
        assert picture is not None, f"{path}: no picture"
        return cast("NDArray[np.uint8]", picture[:, :, ::-1])
