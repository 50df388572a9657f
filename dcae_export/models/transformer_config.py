"""What the configurations of all diffusion transformers share."""

import math
from dataclasses import dataclass

from dcae_export.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerConfig:
    """Everything that fixes a transformer's parameters.

    ``in_channels`` are the latent's, ``patch`` is the side of a token in latent positions, ``grid`` the latent's
    (rows, columns) in training. ``num_classes`` leaves out the null class, which comes last and is added;
    None is a network without labels.
    """

    in_channels: int
    patch: int
    depth: int
    width: int
    heads: int
    num_classes: int | None
    grid: tuple[int, int]

    def __post_init__(self) -> None:
        sizes = (self.in_channels, self.patch, self.depth, self.width, self.heads, *self.grid)
        if min(sizes) < 1 or (self.num_classes is not None and self.num_classes < 1):
            raise ConfigError("transformer: every size has to be 1 or more")
        if self.width % self.heads:
            raise ConfigError(
                f"transformer: width {self.width} is no multiple of its {self.heads} heads; "
                "change one of them"
            )
        if any(side % self.patch for side in self.grid):
            common = math.gcd(*self.grid)
            fitting = [str(patch) for patch in range(1, common + 1) if common % patch == 0]
            raise ConfigError(
                f"transformer: a grid of {self.grid[0]}x{self.grid[1]} is no multiple of patch {self.patch}; "
                f"patches that fit it: {', '.join(fitting)}"
            )

    @property
    def token_grid(self) -> tuple[int, int]:
        """Rows and columns of tokens in training."""
        return self.grid[0] // self.patch, self.grid[1] // self.patch
