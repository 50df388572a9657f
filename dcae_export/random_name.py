"""``random:SEED``: what weights are called that are drawn, for a trial without published ones."""

import re
from typing import Final

from dcae_export.errors import UsageError

_PREFIX: Final = "random:"
_WHOLE: Final = re.compile(r"random:([0-9]{1,18})")


def random_name(seed: int) -> str:
    """What the weights of a seed are called."""
    return f"{_PREFIX}{seed}"


def is_random(weights: str) -> bool:
    """Whether a name of weights is one of drawn ones, well formed or not."""
    return weights.startswith(_PREFIX)


def seed_of(weights: str) -> int:
    """The seed in a name of drawn weights.

    Raises:
        UsageError: It is malformed.
    """
    match = _WHOLE.fullmatch(weights)
    if match is None:
        raise UsageError(
            f"{weights}: the seed is a number from 0 on, of at most 18 digits, as in random:0"
        )
    return int(match[1])
