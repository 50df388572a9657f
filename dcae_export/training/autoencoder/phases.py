"""The three phases of Decoupled High-Resolution Adaptation: which parts of a network train.

DC-AE, arXiv 2410.10733, section 3.3. The phases differ in what trains, and in the resolution and the losses,
which are the recipe's.
"""

import contextlib
import enum
from typing import Self, assert_never, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import (
    checkpoint,  # pyright: ignore[reportUnknownVariableType] - half typed
)

from dcae_export.errors import ConfigError
from dcae_export.models.network import Network
from dcae_export.training.autoencoder.parts import parts


class Phase(enum.Enum):
    """What trains: everything; the encoder's end and the decoder's start; the decoder's end."""

    FULL = "full"
    LATENT_ADAPTATION = "latent-adaptation"
    LOCAL_REFINEMENT = "local-refinement"


class PhaseNetwork(nn.Module):
    """An autoencoder as a phase trains it: image (B, 3, H, W) in [-1, 1] to its reconstruction, not clamped.

    What trains is one run of consecutive parts (see ``parts``).

    - Parts before it run without a graph, and so keep no activations.
    - Parts after it pass the gradient on and get none of their own. They are checkpointed: each keeps its input,
      and computes the rest again on the way back.
    - Parts in it are checkpointed where ``checkpoint_activations`` is on.
    - Frozen parts stay in evaluation mode: their batch norms use their running statistics and leave them alone.

    The network's ``requires_grad`` flags are set, its weights shared. Nothing in it may be random: a checkpointed
    part is computed twice.
    """

    def __init__(
        self,
        network: Network,
        phase: Phase,
        *,
        encoder_head: int = 1,
        decoder_input: int = 1,
        decoder_head: int = 1,
        checkpoint_activations: bool = False,
    ) -> None:
        """Freeze what the phase does not train, and enter training mode.

        Args:
            network: The autoencoder, in float32.
            phase: What trains.
            encoder_head: How many parts of the encoder's end train in latent adaptation.
            decoder_input: How many parts of the decoder's start train in latent adaptation.
            decoder_head: How many parts of the decoder's end train in local refinement.
            checkpoint_activations: Whether trained parts are computed again on the way back as well.

        Raises:
            ConfigError: A number of parts that the phase asks for is not there.
        """
        super().__init__()
        halves = parts(network)
        num_encoder, num_decoder = len(halves.encoder), len(halves.decoder)
        num_parts = num_encoder + num_decoder
        match phase:
            case Phase.FULL:
                trained = range(num_parts)
            case Phase.LATENT_ADAPTATION:
                _check("encoder_head", encoder_head, side="encoder", num_parts=num_encoder)
                _check("decoder_input", decoder_input, side="decoder", num_parts=num_decoder)
                trained = range(num_encoder - encoder_head, num_encoder + decoder_input)
            case Phase.LOCAL_REFINEMENT:
                _check("decoder_head", decoder_head, side="decoder", num_parts=num_decoder)
                trained = range(num_parts - decoder_head, num_parts)
            case _:
                assert_never(phase)
        self.network = network
        # A tuple, so that the parts are no modules of this one a second time.
        self._parts = (*halves.encoder, *halves.decoder)
        self._trained = trained
        self._checkpoint_activations = checkpoint_activations
        for place, part in enumerate(self._parts):
            part.requires_grad_(place in trained)
        self.train()

    def forward(self, image_BCHW: Tensor) -> Tensor:
        x = image_BCHW
        first = self._trained.start
        with torch.no_grad():
            for part in self._parts[:first]:
                x = part(x)
        # PyTorch 2.13 on a CPU ends the process where a group norm's weights, but not its input, have a gradient
        # and the input has its channels last, as what follows an attention has.
        x = x.contiguous()
        for place, part in enumerate(self._parts[first:], start=first):
            if place in self._trained and not self._checkpoint_activations:
                x = part(x)
            else:
                x = _checkpointed(part, x)
        return x

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - as PyTorch declares it
        """Enter training mode, or leave it; frozen parts never enter it."""
        super().train(mode)
        for place, part in enumerate(self._parts):
            if place not in self._trained:
                part.eval()
        return self

    def trained_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """What an optimizer is given, by the names of the network's state dict."""
        return [
            (name, parameter)
            for name, parameter in self.network.named_parameters()
            if parameter.requires_grad
        ]

    @property
    def last_weight(self) -> nn.Parameter:
        """The weight of the decoder's last convolution.

        Looked up anew each time: while the network is sharded, the weight that a graph was made with is there
        from the forward pass to the backward pass.
        """
        *_, last = (module for module in self._parts[-1].modules() if isinstance(module, nn.Conv2d))
        return last.get_parameter("weight")


def _check(name: str, asked: int, *, side: str, num_parts: int) -> None:
    if not 1 <= asked <= num_parts:
        raise ConfigError(
            f"{name} is {asked}: from 1 to {num_parts} parts of this {side} can train"
        )


def _checkpointed(part: nn.Module, x: Tensor) -> Tensor:
    """Run a part and keep its input only; the way back runs it again."""
    return cast(
        "Tensor",
        checkpoint(
            part,
            x,
            use_reentrant=False,
            preserve_rng_state=False,
            context_fn=lambda: (contextlib.nullcontext(), _BuffersKept(part)),
        ),
    )


class _BuffersKept:
    """Undo what a batch norm's second run on the same batch does to its running statistics.

    Entered anew for each way back through one graph, as the adaptive weight's gradients and the loss's are.
    """

    def __init__(self, part: nn.Module) -> None:
        self._part = part
        self._before: list[Tensor] = []

    def __enter__(self) -> None:
        self._before = [buffer.clone() for buffer in self._part.buffers()]

    def __exit__(self, *error: object) -> None:
        for buffer, value in zip(self._part.buffers(), self._before, strict=True):
            buffer.copy_(value)
