"""The encoder's and the decoder's graph: modules, interfaces, and the inputs that the gate will try."""

from torch import Tensor, nn

from dcae_export.bundle.manifest import AxisName, AxisRange, Port
from dcae_export.export.gate_inputs import Grid, latents, pictures
from dcae_export.export.graph_export import GraphJob
from dcae_export.export.image_io import PictureDecoder, PictureEncoder
from dcae_export.export.options import ExportOptions
from dcae_export.export.trace import Signature
from dcae_export.models.autoencoder import IMAGE_CHANNELS
from dcae_export.models.network import NetworkConfig
from dcae_export.models.weights import AutoencoderCheckpoint, load_autoencoder

# What a manifest promises for dynamic graphs: beyond it, sizes in float32 pass what the memory of any machine
# that was tried can hold.
MAX_SIDE_PIXELS = 16384
MAX_BATCH = 64


def autoencoder_jobs(
    checkpoint: AutoencoderCheckpoint, options: ExportOptions
) -> tuple[GraphJob, GraphJob]:
    """The jobs of encoder and decoder; the encoder is run once, for the decoder's inputs.

    Raises:
        UsageError: A size that the network cannot have.
    """
    config = checkpoint.config
    grid = options.grid(config.downsample)
    autoencoder = load_autoencoder(checkpoint)
    encoder: nn.Module = autoencoder.encoder
    decoder: nn.Module = autoencoder.decoder
    if options.image_io:
        encoder, decoder = PictureEncoder(encoder), PictureDecoder(decoder)
    images = pictures(config, grid, image_io=options.image_io)
    encoded = latents(config, encoder(images["picture"]), grid)
    small_images, small_encoded = images, encoded
    if options.precision == "fp32":
        small_images, small_encoded = {}, {}
    elif grid is not None:
        small_images = pictures(config, None, image_io=options.image_io)
        small_encoded = latents(config, encoder(small_images["picture"]), None)
    image, latent = _ports(config, options, grid)
    ranges = {} if grid is not None else _dynamic_ranges(config.downsample)
    # torch.export takes an axis of size 1 for a constant: dynamic graphs are traced on a batch.
    example = "picture" if grid is not None else "noise"
    return (
        GraphJob(
            name="encoder",
            module=encoder,
            signature=Signature(inputs=(image,), output=latent),
            ranges=ranges,
            cases=_cases("image", images),
            example=example,
            small=_cases("image", small_images),
        ),
        GraphJob(
            name="decoder",
            module=decoder,
            signature=Signature(inputs=(latent,), output=image),
            ranges=ranges,
            cases=_cases("latent", encoded),
            example=example,
            small=_cases("latent", small_encoded),
        ),
    )


def _cases(port: str, inputs: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    return {name: {port: value} for name, value in inputs.items()}


def _dynamic_ranges(downsample: int) -> dict[AxisName, AxisRange]:
    side = AxisRange(min=1, max=MAX_SIDE_PIXELS // downsample)
    return {"batch": AxisRange(min=1, max=MAX_BATCH), "height": side, "width": side}


def _ports(config: NetworkConfig, options: ExportOptions, grid: Grid | None) -> tuple[Port, Port]:
    f = config.downsample
    if grid is None:
        batch, height, width = "batch", "height", "width"
        image_height, image_width = f"{f}*height", f"{f}*width"
    else:
        batch, height, width = grid
        image_height, image_width = f * height, f * width
    colours = IMAGE_CHANNELS
    image = (
        Port(name="image", dtype="uint8", shape=(batch, image_height, image_width, colours))
        if options.image_io
        else Port(name="image", dtype="float32", shape=(batch, colours, image_height, image_width))
    )
    latent = Port(
        name="latent", dtype="float32", shape=(batch, config.latent_channels, height, width)
    )
    return image, latent
