"""The transformer under classifier-free guidance: one call for both halves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dcae_export.errors import UsageError
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
        if not self.is_guided:
            output = self._evaluate(state, t)
            return output if self.with_variance else output[:, :channels]
        both = self._evaluate(np.concatenate([state, state]), t)
        conditional, unconditional = np.split(both, 2)
        base = unconditional[:, :channels]
        weight = np.float32(self.guidance)
        guided = (base + weight * (conditional[:, :channels] - base)).astype(np.float32, copy=False)
        if not self.with_variance:
            return guided
        return np.concatenate([guided, conditional[:, channels:]], axis=1)

    @property
    def is_guided(self) -> bool:
        """Whether both halves are run."""
        return self.labels is not None and self.null_label is not None

    def axes(self, state: Latents) -> dict[str, int]:
        """The named axes of the graph's run for ``state``, both halves and a fixed batch counted.

        Raises:
            UsageError: The graph does not take it.
        """
        images, channels, height, width = state.shape
        rows = 2 * images if self.is_guided else images
        axes = self.session.graph.latent_axes(rows, channels=channels, grid=(height, width))
        if axes is None:
            raise UsageError(f"{self.session.name}: takes no latent of {list(state.shape)}")
        return dict(axes)

    def times(self, t: float, rows: int) -> tuple[str, NDArray[np.float32]]:
        """The input that tells the graph the time, by name, for ``rows`` rows."""
        if self.time_features is None:
            return "timestep", np.full(rows, t, np.float32)
        return "time_features", np.repeat(self.time_features[t][None], rows, axis=0)

    def row_labels(self, images: int, rows: int) -> NDArray[np.int64] | None:
        """The label of each of a run's ``rows``, the last one repeated; None for an unconditional network."""
        if self.labels is None:
            return None
        assert len(self.labels) == images
        labels = self.labels
        if self.null_label is not None:
            labels = np.append(labels, np.full_like(labels, self.null_label))
        return filled(labels, rows)

    def _evaluate(self, latent: Latents, t: float) -> Latents:
        fixed = self.session.graph.inputs[0].shape[0]
        # A graph of a fixed batch runs full: the last row stands in for those that are missing.
        rows = max(len(latent), fixed) if isinstance(fixed, int) else len(latent)
        name, times = self.times(t, rows)
        inputs: dict[str, NDArray[np.generic]] = {"latent": filled(latent, rows), name: times}
        labels = self.row_labels(len(latent) // (2 if self.is_guided else 1), rows)
        if labels is not None:
            inputs["label"] = labels
        output = self.session.run(inputs)["output"][: len(latent)]
        return output.astype(np.float32, copy=False)


def filled(array: NDArray[Element], rows: int) -> NDArray[Element]:
    """``array`` with its last row repeated until there are ``rows``."""
    if len(array) == rows:
        return array
    return np.concatenate([array, np.repeat(array[-1:], rows - len(array), axis=0)])
