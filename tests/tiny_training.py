"""A training of milliseconds: two small networks, pictures of noise.

As a program it trains into a folder, for tests that kill it or start several of it:
``python tiny_training.py RUN [--resume] [--steps N] ...`` prints each event's class and step.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import DistributedType, PartialState
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from dcae_export.errors import DcaeError
from dcae_export.training.engine.ema import EMASettings
from dcae_export.training.engine.engine import Outcome, train
from dcae_export.training.engine.events import CheckpointUnusable, Event, Note
from dcae_export.training.engine.learning_rate import WarmUp
from dcae_export.training.engine.run_folder import RunFolder
from dcae_export.training.engine.settings import EngineSettings, Precision

SIDE = 8


def settings(**changes: object) -> EngineSettings:
    fields = {
        "steps": 8,
        "accumulation": 1,
        "precision": Precision.FP32,
        "clip_norm": 1.0,
        "warm_up": WarmUp(steps=3, start=0.1),
        "ema": EMASettings(decay=0.9, warm_up=5),
        "seed": 7,
        "checkpoint_every": 3,
        "sample_every": None,
        "max_skipped": 3,
    }
    return EngineSettings(**(fields | changes))


@dataclass(frozen=True, kw_only=True, slots=True)
class Noise:
    """Picture ``n`` is the noise of seed ``n``; a step's pictures are the same for any number of processes."""

    batch_size: int
    rank: int = 0
    num_processes: int = 1
    not_finite: frozenset[int] = frozenset()  # batches of this process
    last: int | None = None

    def batches(self, position: dict[str, int]) -> Iterator[tuple[Tensor, dict[str, int]]]:
        batch = position.get("batch", 0)
        # As a loader does that takes a seed of its own.
        torch.rand(())
        while batch != self.last:
            first = (batch * self.num_processes + self.rank) * self.batch_size
            images = torch.stack([_picture(first + i) for i in range(self.batch_size)])
            if batch in self.not_finite:
                images[0, 0, 0, 0] = float("nan")
            batch += 1
            yield images, {"batch": batch}


def _picture(number: int) -> Tensor:
    generator = torch.Generator().manual_seed(number)
    return torch.rand(3, SIDE, SIDE, generator=generator) * 2 - 1


class TinyNetwork(nn.Module):
    """Running statistics, and dropout, which draws from torch's own generator."""

    def __init__(self, *, dropout: float = 0.1, norm: bool = True) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.frozen = nn.Conv2d(6, 6, 1).requires_grad_(requires_grad=False)
        self.conv_out = nn.Conv2d(6, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.dropout(self.norm(self.conv_in(x)).tanh())
        return self.conv_out(self.frozen(hidden))


class TinyTraining:
    """A reconstruction, and a discriminator that trains from ``start`` on."""

    def __init__(
        self,
        network: nn.Module,
        *,
        start: int = 4,
        optimizer: type[torch.optim.Optimizer] = torch.optim.AdamW,
        learning_rate: float = 0.01,
    ) -> None:
        discriminator = nn.Conv2d(3, 1, 3)
        self.start = start
        self.modules: dict[str, nn.Module] = {"network": network, "discriminator": discriminator}
        self.optimizers = {
            name: optimizer([p for p in module.parameters() if p.requires_grad], lr=learning_rate)
            for name, module in self.modules.items()
        }

    def is_active(self, name: str, *, step: int) -> bool:
        return name == "network" or step >= self.start

    def backward(self, batch: Tensor, *, step: int, accelerator: Accelerator) -> dict[str, Tensor]:
        reconstruction = self.modules["network"](batch)
        loss = (reconstruction - batch).abs().mean()
        accelerator.backward(loss)
        losses = {"l1": loss}
        if self.is_active("discriminator", step=step):
            pairs = torch.cat([batch, reconstruction.detach()])
            real, fake = self.modules["discriminator"](pairs).chunk(2)
            losses["hinge"] = (1 - real).relu().mean() + (1 + fake).relu().mean()
            accelerator.backward(losses["hinge"])
        return losses

    def sample(self, *, accelerator: Accelerator) -> tuple[Tensor, Tensor]:
        network = self.modules["network"]
        network.eval()
        images = torch.rand(2, 3, SIDE, SIDE, device=accelerator.device) * 2 - 1
        reconstructions = network(images)
        network.train()
        return images, reconstructions


def tiny_training(**options: object) -> TinyTraining:
    torch.manual_seed(0)
    return TinyTraining(TinyNetwork(), **options)


def _show(event: Event) -> None:
    match event:
        case CheckpointUnusable():
            detail = event.path
        case Note():
            detail = event.text
        case _:
            detail = event.step
    sys.stdout.write(f"{type(event).__name__} {detail}\n")
    sys.stdout.flush()


def _run(arguments: argparse.Namespace) -> Outcome:
    torch.manual_seed(0)
    # What several processes compute cannot equal what one does where statistics are of a batch.
    network = TinyNetwork(dropout=arguments.dropout, norm=arguments.norm)
    training = TinyTraining(network, optimizer=getattr(torch.optim, arguments.optimizer))
    rank = int(os.environ.get("RANK", "0"))
    data = Noise(
        batch_size=arguments.batch_size,
        rank=rank,
        num_processes=int(os.environ.get("WORLD_SIZE", "1")),
        not_finite=frozenset(b for r, b in arguments.not_finite if r == rank),
    )
    outcome = train(
        training,
        data,
        settings(
            steps=arguments.steps,
            checkpoint_every=arguments.checkpoint_every,
            accumulation=arguments.accumulation,
        ),
        RunFolder(arguments.run),
        resume=arguments.resume,
        on_event=_show,
    )
    # A way that was not taken would pass every comparison.
    parameters = [p for module in training.modules.values() for p in module.parameters()]
    assert {isinstance(p, DTensor) for p in parameters} == {arguments.shard}
    return outcome


def shard_on_the_cpu() -> None:
    """Make Accelerate take its way to FSDP2, which it keeps for GPUs, on the CPU."""
    os.environ |= {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
    PartialState(cpu=True).distributed_type = DistributedType.MULTI_GPU


def _pair(text: str) -> tuple[int, int]:
    rank, _, batch = text.partition(":")
    return int(rank), int(batch)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--accumulation", type=int, default=1)
    parser.add_argument("--checkpoint-every", type=int, default=3)
    parser.add_argument("--optimizer", default="AdamW")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--norm", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--not-finite", type=_pair, nargs="*", default=[], metavar="RANK:BATCH")
    parser.add_argument("--shard", action="store_true")
    arguments = parser.parse_args()
    os.environ["ACCELERATE_USE_CPU"] = "true"
    if arguments.shard:
        shard_on_the_cpu()
    try:
        _run(arguments)
    except DcaeError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main())
