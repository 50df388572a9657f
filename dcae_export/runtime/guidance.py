"""The transformer under classifier-free guidance: one call for both halves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dcae_export.runtime.session import Session

Latents = NDArray[np.float32]
Element = TypeVar("Element", bound=np.generic)


@dataclass(frozen=True, kw_only=True, slots=True)
class GuidedNetwork:
    """A transformer's output at a state and time, for fixed labels.

    ``labels`` is (N,), None for an unconditional network. ``null_label`` is None where only the labels' half is
    run: at guidance 1 both halves cancel. ``with_variance`` keeps the channels of a learned variance, which come
    from the labels' half (Ho and Salimans 2022, equation 6, on all latent channels).
    ``time_features`` holds those of each time of the table, where the graph takes them.
    """

    session: Session
    labels: NDArray[np.int64] | None
    null_label: int | None
    guidance: float
    with_variance: bool
    time_features: Mapping[float, NDArray[np.float32]] | None = None

    def __call__(self, state: Latents, t: float) -> Latents:
        """The output for ``state``, (N, channels, h, w); twice the channels with a variance.

        Raises:
            DcaeError: As ``Session.run``.
        """
        channels = state.shape[1]
        if self.labels is None or self.null_label is None:
            output = self._evaluate(state, t, self.labels)
            return output if self.with_variance else output[:, :channels]
        null = np.full_like(self.labels, self.null_label)
        both = self._evaluate(
            np.concatenate([state, state]), t, np.concatenate([self.labels, null])
        )
        conditional, unconditional = np.split(both, 2)
        base = unconditional[:, :channels]
        weight = np.float32(self.guidance)
        guided = (base + weight * (conditional[:, :channels] - base)).astype(np.float32, copy=False)
        if not self.with_variance:
            return guided
        return np.concatenate([guided, conditional[:, channels:]], axis=1)

    def _evaluate(self, state: Latents, t: float, labels: NDArray[np.int64] | None) -> Latents:
        rows = len(state)
        inputs: dict[str, NDArray[np.generic]] = {"latent": state}
        if self.time_features is None:
            inputs["timestep"] = np.full(rows, t, np.float32)
        else:
            inputs["time_features"] = np.repeat(self.time_features[t][None], rows, axis=0)
        if labels is not None:
            inputs["label"] = labels
        fixed = self.session.graph.inputs[0].shape[0]
        if isinstance(fixed, int) and fixed != rows:
            # A graph of a fixed batch runs full: the last row stands in for those that are missing.
            inputs = {name: filled(array, fixed) for name, array in inputs.items()}
        return self.session.run(inputs)["output"][:rows].astype(np.float32, copy=False)


def filled(array: NDArray[Element], rows: int) -> NDArray[Element]:
    """``array`` with its last row repeated until there are ``rows``."""
    return np.concatenate([array, np.repeat(array[-1:], rows - len(array), axis=0)])
