"""The shapes that a TensorRT engine is built for."""

from collections.abc import Mapping

from dcae_export.bundle.manifest import Graph, Port
from dcae_export.errors import UsageError
from dcae_export.runtime.provider_options import AxisProfile, InputProfile


def engine_axes(
    graph: Graph,
    *,
    profile: tuple[AxisProfile, ...],
    axes: Mapping[str, int],
    one_shape: bool = False,
) -> dict[str, AxisProfile]:
    """The values of each named axis that an engine of ``graph`` is to take.

    An axis that ``profile`` leaves out has the value of the run, and batch all those up to it: the last pictures of
    a request are fewer.

    Args:
        graph: The graph.
        profile: What the user said.
        axes: The named axes of the run that the engine is built for.
        one_shape: Leave batch at the value of the run as well.

    Raises:
        UsageError: A value is not in the graph's range, or an axis has none.
    """
    given = {one.axis: one for one in profile}
    found: dict[str, AxisProfile] = {}
    for name, bounds in graph.ranges.items():
        if name not in axes:
            raise UsageError(f"an engine is built for one size; open the session for some {name}")
        value = axes[name]
        least = bounds.min if name == "batch" and not one_shape else value
        one = given.get(name) or AxisProfile(axis=name, least=least, best=value, most=value)
        if not bounds.min <= one.least <= one.most <= bounds.max:
            raise UsageError(
                f"engine profile {name}={one.least}:{one.best}:{one.most}: the graph takes {bounds.min} to "
                f"{bounds.max}"
            )
        found[name] = one
    return found


def input_profiles(graph: Graph, ranges: Mapping[str, AxisProfile]) -> tuple[InputProfile, ...]:
    """The shapes of the graph's inputs that have a named axis, for those values of the axes."""
    sides = (
        {name: one.least for name, one in ranges.items()},
        {name: one.best for name, one in ranges.items()},
        {name: one.most for name, one in ranges.items()},
    )
    return tuple(
        InputProfile(name=port.name, least=least, best=best, most=most)
        for port in graph.inputs
        if _is_dynamic(port)
        for least, best, most in [tuple(port.resolve(side) for side in sides)]
    )


def _is_dynamic(port: Port) -> bool:
    return any(isinstance(dim, str) for dim in port.shape)
