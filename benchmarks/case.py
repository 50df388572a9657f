"""One cell of the autoencoder benchmark: a network, a direction and a size."""

import enum
from dataclasses import dataclass

from dcae_export.bundle.manifest import GraphName, Latent


class Direction(enum.Enum):
    """Which half of the autoencoder runs."""

    ENCODE = "encode"
    DECODE = "decode"

    @property
    def graph(self) -> GraphName:
        """The half's name in a bundle, and in diffusers."""
        return "encoder" if self is Direction.ENCODE else "decoder"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A square picture of ``size`` pixels through one half of ``variant``."""

    variant: str
    direction: Direction
    size: int

    def __str__(self) -> str:
        return f"{self.variant} {self.direction.value} {self.size}"

    def input_shape(self, latent: Latent) -> tuple[int, int, int, int]:
        """The shape of what the half takes: a picture, or the latent of one."""
        if self.direction is Direction.ENCODE:
            return (1, 3, self.size, self.size)
        side = self.size // latent.downsample
        return (1, latent.channels, side, side)
