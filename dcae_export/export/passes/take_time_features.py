"""Let a transformer take the sines and cosines of its time as they are."""

from torch import nn

from dcae_export.export.replace_modules import replace_modules
from dcae_export.models.timestep import TimestepFeatures


def take_time_features(module: nn.Module) -> None:
    """Remove, in place, what makes features of a timestep: the network is given the features instead."""
    replace_modules(module, TimestepFeatures, lambda _: nn.Identity())
