"""Networks of the GPU benchmark in PyTorch: eager, compiled, and diffusers' autoencoder."""

import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.tasks.gpu_networks import Inputs, Run
from benchmarks.tasks.transformer_files import with_published_attention
from benchmarks.torch_sampler import sample_in_torch
from dcae_export.bundle.reader import Bundle
from dcae_export.models.dit import DiTConfig
from dcae_export.models.key_map import Layout
from dcae_export.models.network import NetworkConfig
from dcae_export.models.network import build as build_autoencoder
from dcae_export.models.presets import PRESETS, preset_name
from dcae_export.models.source import resolve, resolve_transformer
from dcae_export.models.timestep import TimestepFeatures
from dcae_export.models.transformer_presets import transformer_preset
from dcae_export.models.transformer_weights import build_transformer
from dcae_export.models.uvit import UViTConfig, resize_positions
from dcae_export.models.weights import (
    AutoencoderCheckpoint,
    save_checkpoint,
)

WEIGHTS = "random:0"
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
HALVES = {"encode": "encoder", "decode": "decoder"}


class TorchNetwork:
    """A module on its device, in one dtype throughout but for what the networks themselves hold in float32."""

    def __init__(self, network: nn.Module, *, device: str, dtype: torch.dtype) -> None:
        self._device = device
        self._dtype = dtype
        self._network = network

    @torch.inference_mode()
    def prepare(self, inputs: Inputs) -> Run:
        """Bring inputs to the device; what runs the network on them."""
        tensors = [self._placed(name, array) for name, array in inputs.items()]

        @torch.inference_mode()
        def run() -> None:
            self._result: Tensor = self._network(*tensors)
            if self._device == "cuda":
                torch.cuda.synchronize()

        return run

    def result(self) -> NDArray[np.float32]:
        """What the last run made."""
        return self._result.float().cpu().numpy()

    def _placed(self, name: str, array: NDArray[np.generic]) -> Tensor:
        tensor = torch.from_numpy(array).to(self._device)
        if array.ndim == 4:
            tensor = tensor.to(self._dtype)
        # What cuDNN's convolutions are fastest in; a transformer makes tokens of it.
        return tensor.contiguous(memory_format=torch.channels_last) if name == "image" else tensor


def autoencoder_config(variant: str) -> NetworkConfig:
    """The configuration of a published autoencoder, without its weights."""
    return PRESETS[preset_name(variant)].config


def build(network: dict[str, object], library: str) -> nn.Module:
    """The network in float32 on the processor, with random weights that are drawn once and kept."""
    folder, part = Path(str(network["weights"])), str(network["part"])
    autoencoder = str(network["autoencoder"])
    if part == "step":
        return with_published_attention(_transformer(network, folder, autoencoder))
    if library == "diffusers":
        return _of_diffusers(resolve(WEIGHTS, variant=autoencoder), HALVES[part])
    with torch.device("meta"):
        whole = build_autoencoder(autoencoder_config(autoencoder))
    state = _kept(folder / autoencoder, lambda: resolve(WEIGHTS, variant=autoencoder).state)
    whole.load_state_dict(state, strict=True, assign=True)
    return getattr(whole.eval().requires_grad_(requires_grad=False), HALVES[part])


def empty(network: dict[str, object]) -> nn.Module:
    """The network without weights."""
    part, autoencoder = str(network["part"]), str(network["autoencoder"])
    with torch.device("meta"):
        if part == "step":
            config = _config(network)
            grid = _grid(network)
            resized = dataclasses.replace(config, grid=grid)
            return with_published_attention(build_transformer(resized)).eval()
        return getattr(build_autoencoder(autoencoder_config(autoencoder)), HALVES[part]).eval()


def _transformer(network: dict[str, object], folder: Path, autoencoder: str) -> nn.Module:
    name, config = str(network["transformer"]), _config(network)
    state = _kept(
        folder / f"{name}-{autoencoder}",
        lambda: resolve_transformer(WEIGHTS, name=name, autoencoder=autoencoder).state,
    )
    if isinstance(config, UViTConfig):
        state, config = resize_positions(state, config, grid=_grid(network))
    with torch.device("meta"):
        module = build_transformer(config)
    module.load_state_dict(state, strict=True, assign=True)
    return module.eval().requires_grad_(requires_grad=False)


def _config(network: dict[str, object]) -> DiTConfig | UViTConfig:
    name, autoencoder = str(network["transformer"]), str(network["autoencoder"])
    return transformer_preset(name, autoencoder=autoencoder).config


def _grid(network: dict[str, object]) -> tuple[int, int]:
    side = int(str(network["side"])) // autoencoder_config(str(network["autoencoder"])).downsample
    return side, side


def _kept(stem: Path, draw: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Drawing them takes longer than reading them."""
    path = stem.with_name(f"{stem.name}.safetensors")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        save_file(dict(draw()), partial)
        partial.rename(path)
    return load_file(path)


def to_dtype(module: nn.Module, dtype: torch.dtype, *, device: str) -> nn.Module:
    """The module on its device in ``dtype``; sines and cosines of the time are made in float32."""
    module = module.to(device=device, dtype=dtype)
    for part in module.modules():
        if isinstance(part, TimestepFeatures):
            part.frequencies = TimestepFeatures(2 * len(part.frequencies)).frequencies.to(device)
            part.register_forward_hook(lambda _module, _given, made: made.to(dtype))
    return module


def open_torch(
    network: dict[str, object], *, device: str, precision: str, library: str, mode: str | None
) -> TorchNetwork:
    """One network; ``mode`` is torch.compile's, None leaves it eager."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    dtype = DTYPES[precision]
    module = to_dtype(build(network, library), dtype, device=device)
    if network["part"] != "step":
        module = module.to(memory_format=torch.channels_last)
    if mode is not None:
        module = torch.compile(module, mode=mode, dynamic=False)
    return TorchNetwork(module, device=device, dtype=dtype)


class TorchPipeline:
    """Pictures from noise as a bundle makes them, all of it in PyTorch."""

    def __init__(
        self,
        bundle: Bundle,
        network: dict[str, object],
        *,
        device: str,
        precision: str,
        mode: str | None,
    ) -> None:
        """``bundle`` tells the sampler, the guidance and the latent's scale."""
        manifest = bundle.manifest
        self._device, self._dtype = device, DTYPES[precision]
        self._table = manifest.samplers.tables[manifest.samplers.default].to_table()
        self._latent = manifest.latent
        self._decoder, transformer = (
            to_dtype(build({**network, "part": part}, "ours"), self._dtype, device=device)
            for part in ("decode", "step")
        )
        self._decoder = self._decoder.to(memory_format=torch.channels_last)
        self._guided: nn.Module = GuidedModule(
            transformer,
            null_label=manifest.conditioning.null_label,
            guidance=manifest.samplers.default_guidance,
            dtype=self._dtype,
            channels=self._latent.channels if self._table.learned_variance else None,
        )
        if mode is not None:
            self._guided = torch.compile(self._guided, mode=mode, dynamic=False)
            self._decoder = torch.compile(self._decoder, mode=mode, dynamic=False)

    @torch.inference_mode()
    def generate(self, labels: list[int], *, size: tuple[int, int]) -> NDArray[np.uint8]:
        """RGB pictures, (N, H, W, 3)."""
        grid = [side // self._latent.downsample for side in size]
        shape = (len(labels), self._latent.channels, *grid)
        with torch.device(self._device):
            latents = sample_in_torch(
                self._guided,
                self._table,
                torch.tensor(labels),
                noise=lambda _: torch.randn(shape),
            )
        latents = latents / self._latent.scaling_factor + self._latent.shift
        images = self._decoder(latents.to(self._dtype)).float()
        levels = (127.5 * images + 128).clamp(0, 255).to(torch.uint8)
        return levels.permute(0, 2, 3, 1).cpu().numpy()


class GuidedModule(nn.Module):
    """Both halves of guidance in one call; ``channels`` are those of the state where a variance follows them."""

    def __init__(
        self,
        network: nn.Module,
        *,
        null_label: int,
        guidance: float,
        dtype: torch.dtype,
        channels: int | None,
    ) -> None:
        super().__init__()
        self.network = network
        self.null_label = null_label
        self.guidance = guidance
        self.dtype = dtype
        self.channels = channels

    def forward(self, state: Tensor, timestep: Tensor, label: Tensor) -> Tensor:
        made = self.network(
            torch.cat([state, state]).to(self.dtype),
            torch.cat([timestep, timestep]),
            torch.cat([label, torch.full_like(label, self.null_label)]),
        ).float()
        conditional, null = made.chunk(2)
        means = [one[:, : state.shape[1]] for one in (conditional, null)]
        guided = means[1] + self.guidance * (means[0] - means[1])
        if self.channels is None:
            return guided
        return torch.cat([guided, conditional[:, self.channels :]], dim=1)


def count_operations(network: dict[str, object], inputs: Inputs) -> int:
    """Floating-point operations of matrix products and convolutions, two for each multiplication."""
    module = empty(network).to("meta")
    tensors = [torch.from_numpy(array).to("meta") for array in inputs.values()]
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        module(*tensors)
    return counter.get_total_flops()


def _of_diffusers(checkpoint: AutoencoderCheckpoint, half: str) -> nn.Module:
    # It needs diffusers, which is not installed everywhere.
    from benchmarks.tasks.diffusers_network import load_half  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights"
        save_checkpoint(checkpoint, path, layout=Layout.DIFFUSERS)
        return load_half(path, half)
