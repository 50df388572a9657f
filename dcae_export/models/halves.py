"""Files that hold an autoencoder and a diffusion transformer."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from dcae_export.errors import WeightsError

_AUTOENCODER, _TRANSFORMER = "autoencoder.", "diffusion_model."
# What names in an autoencoder's own file begin with; no transformer has such names.
_SIDES = ("encoder.", "decoder.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Halves:
    """The tensors of either network under its own names; empty where a file lacks it."""

    autoencoder: dict[str, Tensor]
    transformer: dict[str, Tensor]


def split_checkpoint(stored: Mapping[str, Tensor]) -> Halves:
    """The two networks of a file, by the prefixes ``autoencoder.`` and ``diffusion_model.``.

    A file without these prefixes holds one network, told from its names.

    Raises:
        WeightsError: Some names have a prefix and others have none.
    """
    autoencoder = _below(_AUTOENCODER, stored)
    transformer = _below(_TRANSFORMER, stored)
    if not autoencoder and not transformer:
        whole = dict(stored)
        is_autoencoder = any(name.startswith(_SIDES) for name in whole)
        return Halves(
            autoencoder=whole if is_autoencoder else {}, transformer={} if is_autoencoder else whole
        )
    others = [name for name in stored if not name.startswith((_AUTOENCODER, _TRANSFORMER))]
    if others:
        raise WeightsError(
            f"{min(others)} belongs neither to {_AUTOENCODER}* nor to {_TRANSFORMER}*, "
            "as the other tensors do"
        )
    return Halves(autoencoder=autoencoder, transformer=transformer)


def _below(prefix: str, stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in stored.items()
        if name.startswith(prefix)
    }
