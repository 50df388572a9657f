"""Hold what a manifest says of its graphs' ports to what the three networks take and give."""

from dataclasses import dataclass
from typing import NoReturn, assert_never

from dcae_export.bundle.manifest import (
    MANIFEST_NAME,
    Diffusion,
    Graph,
    GraphName,
    Manifest,
    Port,
    split_dim,
)
from dcae_export.errors import BundleError

_Dim = tuple[int, str | None]
"""As ``split_dim`` gives it: "height" and "1*height" are one dimension."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Port:
    """A port in the one form in which ports are compared."""

    name: str
    dtype: str
    shape: tuple[_Dim, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} [{', '.join(map(_dim_text, self.shape))}]"


def check_interface(manifest: Manifest) -> None:
    """Check the ports of every graph, and that what the transformer makes by default can be made and decoded.

    Raises:
        BundleError: A graph has other ports than its network; or transformer, decoder and samplers do not go
            together.
    """
    for name, graph in manifest.graphs.items():
        inputs, outputs = _expected(name, graph, manifest)
        for what, ports, expected in (
            ("inputs", graph.inputs, inputs),
            ("outputs", graph.outputs, outputs),
        ):
            if tuple(map(_compared, ports)) != expected:
                _refuse(name, f"its {what} have to be {', '.join(map(str, expected))}")
    if manifest.samplers is not None:
        _check_generation(manifest)


def default_grid(diffusion: Diffusion, transformer: Graph) -> tuple[int, int]:
    """Rows and columns of the latent that a transformer makes where nothing else is asked for.

    Those of its training, unless its graph is for others.
    """
    rows, columns = diffusion.grid
    *_, fixed_rows, fixed_columns = transformer.inputs[0].shape
    return (
        fixed_rows if isinstance(fixed_rows, int) else rows,
        fixed_columns if isinstance(fixed_columns, int) else columns,
    )


def _expected(
    name: GraphName, graph: Graph, manifest: Manifest
) -> tuple[tuple[_Port, ...], tuple[_Port, ...]]:
    """The inputs and outputs that the network has, for the batch and the sides of the graph's own latent."""
    latent = _latent(name, graph, manifest.latent.channels)
    image = _image(latent, manifest)
    match name:
        case "encoder":
            return (image,), (latent,)
        case "decoder":
            return (latent,), (image,)
        case "transformer":
            return _transformer_ports(latent, graph, manifest)
        case _:
            assert_never(name)


def _latent(name: GraphName, graph: Graph, channels: int) -> _Port:
    ports = (*graph.inputs, *graph.outputs)
    found = next((_compared(port) for port in ports if port.name == "latent"), None)
    if found is None or len(found.shape) != 4:
        _refuse(name, "it has to have a latent of four dimensions")
    batch, _, height, width = found.shape
    sides_are_named = height[1] in (None, "height") and width[1] in (None, "width")
    if not sides_are_named or not (batch[1] is None or batch == (1, "batch")):
        _refuse(name, "its latent has to be [batch, channels, height, width]")
    return _Port(name="latent", dtype="float32", shape=(batch, (channels, None), height, width))


def _image(latent: _Port, manifest: Manifest) -> _Port:
    batch, _, height, width = latent.shape
    factor = manifest.latent.downsample
    sides = ((factor * height[0], height[1]), (factor * width[0], width[1]))
    colours = (manifest.image.channels, None)
    planes = manifest.image.layout == "NCHW"
    shape = (batch, colours, *sides) if planes else (batch, *sides, colours)
    return _Port(name="image", dtype=manifest.image.dtype, shape=shape)


def _transformer_ports(
    latent: _Port, graph: Graph, manifest: Manifest
) -> tuple[tuple[_Port, ...], tuple[_Port, ...]]:
    assert manifest.diffusion is not None
    assert manifest.conditioning is not None
    batch, (channels, _), *sides = latent.shape
    inputs = [latent, _time(batch, graph)]
    if manifest.conditioning.kind == "class":
        inputs.append(_Port(name="label", dtype="int64", shape=(batch,)))
    halves = 2 if manifest.diffusion.learned_variance else 1
    output = _Port(name="output", dtype="float32", shape=(batch, (halves * channels, None), *sides))
    return tuple(inputs), (output,)


def _time(batch: _Dim, graph: Graph) -> _Port:
    """What tells the transformer the time: the number, or features of it, of which any number may be."""
    features = next((port for port in graph.inputs if port.name == "time_features"), None)
    if features is None:
        return _Port(name="timestep", dtype="float32", shape=(batch,))
    width = features.shape[-1] if features.shape else 1
    return _Port(name="time_features", dtype="float32", shape=(batch, (split_dim(width)[0], None)))


def _check_generation(manifest: Manifest) -> None:
    assert manifest.diffusion is not None
    assert manifest.conditioning is not None
    assert manifest.samplers is not None
    transformer = manifest.graphs["transformer"]
    takes_features = transformer.inputs[1].name == "time_features"
    for name, table in manifest.samplers.tables.items():
        if (table.time_features is not None) != takes_features:
            _refuse("transformer", f"time_features are its input just where {name} has them")
    rows, columns = default_grid(manifest.diffusion, transformer)
    calls: list[tuple[GraphName, int]] = [("transformer", 1), ("decoder", 1)]
    if manifest.conditioning.kind == "class":
        # Guidance runs the label and the null label in one call.
        calls.append(("transformer", 2))
    for name, batch in calls:
        graph, channels = manifest.graphs[name], manifest.latent.channels
        if graph.latent_axes(batch, channels=channels, grid=(rows, columns)) is None:
            _refuse(name, f"it has to take latents of {rows} x {columns}, {batch} at a time")


def _refuse(name: GraphName, reason: str) -> NoReturn:
    raise BundleError(f"{MANIFEST_NAME}: graphs.{name}: {reason}; export the bundle again")


def _compared(port: Port) -> _Port:
    return _Port(name=port.name, dtype=port.dtype, shape=tuple(map(split_dim, port.shape)))


def _dim_text(dim: _Dim) -> str:
    size, axis = dim
    if axis is None:
        return str(size)
    return axis if size == 1 else f"{size}*{axis}"
