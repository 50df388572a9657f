"""A run of a graph at a size, for its time and its engine; not for its result."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dcae_export.bundle.interface import default_grid
from dcae_export.bundle.manifest import Graph, GraphName, Manifest
from dcae_export.errors import UsageError

_DEFAULT_SIDE = 512


def trial_axes(
    manifest: Manifest,
    name: GraphName,
    *,
    size: tuple[int, int] | None,
    batch: int,
    guidance: float | None = None,
) -> dict[str, int]:
    """The named axes of a graph for pictures of a size; a guided transformer has two rows for each picture.

    Args:
        manifest: The bundle's.
        name: The graph.
        size: (height, width) in pixels; None is the size that the transformer was trained on, or 512.
        batch: Pictures at a time.
        guidance: The guidance weight, as in ``Pipeline.generate``: 1 runs one row for each picture, None is the
            bundle's default.

    Raises:
        UsageError: The graph does not run at this size or batch.
    """
    graph = manifest.graphs[name]
    factor = manifest.latent.downsample
    height, width = _size(manifest) if size is None else size
    if height % factor or width % factor:
        raise UsageError(f"{width}x{height}: sides are multiples of {factor}")
    rows = batch * 2 if name == "transformer" and _is_guided(manifest, guidance) else batch
    wanted = {"batch": rows, "height": height // factor, "width": width // factor}
    axes = {axis: wanted[axis] for axis in graph.ranges}
    latent = graph.outputs[0] if name == "encoder" else graph.inputs[0]
    fixed = (dim for dim in latent.shape[-2:] if isinstance(dim, int))
    if size is not None and not all(dim in (wanted["height"], wanted["width"]) for dim in fixed):
        raise UsageError(f"{name}: was exported for one size, which is not {width}x{height}")
    outside = graph.outside(axes)
    if outside is not None:
        bounds = graph.ranges[outside]
        raise UsageError(
            f"{name}: {outside} is {axes[outside]}, the graph takes {bounds.min} to {bounds.max}"
        )
    return axes


def trial_inputs(graph: Graph, axes: Mapping[str, int]) -> dict[str, NDArray[np.generic]]:
    """Inputs of these axes: noise where the graph takes numbers, zeros where it takes labels and levels."""
    generator = np.random.default_rng(0)
    inputs: dict[str, NDArray[np.generic]] = {}
    for port in graph.inputs:
        shape = port.resolve(axes)
        if np.issubdtype(np.dtype(port.dtype), np.floating):
            inputs[port.name] = generator.uniform(-1, 1, shape).astype(port.dtype)
        else:
            inputs[port.name] = np.zeros(shape, port.dtype)
    return inputs


def _is_guided(manifest: Manifest, guidance: float | None) -> bool:
    if manifest.conditioning is None or manifest.conditioning.num_classes is None:
        return False
    if guidance is None and manifest.samplers is not None:
        guidance = manifest.samplers.default_guidance
    return guidance != 1


def _size(manifest: Manifest) -> tuple[int, int]:
    factor = manifest.latent.downsample
    if manifest.diffusion is not None and "transformer" in manifest.graphs:
        rows, columns = default_grid(manifest.diffusion, manifest.graphs["transformer"])
        return factor * rows, factor * columns
    return _DEFAULT_SIDE, _DEFAULT_SIDE
