"""The networks that metrics see pictures with: from a file, or random for a trial."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from torch import nn

from dcae_export.models.alexnet import AlexNet, draw_alexnet, load_alexnet
from dcae_export.models.fid_inception import FIDInception, draw_fid_inception, load_fid_inception
from dcae_export.models.state import state_digest
from dcae_export.random_name import is_random, seed_of

NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricNetwork(Generic[NetworkT]):
    """A frozen network and where its weights are from; ``source`` names them with their sha256."""

    network: NetworkT
    source: str
    is_random: bool


def inception_network(weights: str) -> MetricNetwork[FIDInception]:
    """FID's Inception from a path or ``random:SEED``.

    Raises:
        UsageError: A malformed seed.
        WeightsError, RefusedError: As ``load_fid_inception``.
    """
    return _network(
        weights, load=load_fid_inception, draw=lambda seed: draw_fid_inception(seed=seed)
    )


def alexnet_network(weights: str) -> MetricNetwork[AlexNet]:
    """AlexNet from a path or ``random:SEED``.

    Raises:
        UsageError: A malformed seed.
        WeightsError, RefusedError: As ``load_alexnet``.
    """
    return _network(weights, load=load_alexnet, draw=lambda seed: draw_alexnet(seed=seed))


def _network(
    weights: str, *, load: Callable[[Path], NetworkT], draw: Callable[[int], NetworkT]
) -> MetricNetwork[NetworkT]:
    if is_random(weights):
        return MetricNetwork(network=draw(seed_of(weights)), source=weights, is_random=True)
    path = Path(weights).expanduser()
    network = load(path)
    digest = state_digest(network.state_dict())
    return MetricNetwork(network=network, source=f"{path.name}, sha256 {digest}", is_random=False)
