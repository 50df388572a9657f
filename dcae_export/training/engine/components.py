"""The modules and optimizers of a run on all its processes, and their way into a checkpoint and back."""

from torch import Tensor

from dcae_export.training.engine.checkpoint import Checkpoint
from dcae_export.training.engine.ema import EMA, EMASettings
from dcae_export.training.engine.processes import Processes
from dcae_export.training.engine.protocols import NETWORK, Trained
from dcae_export.training.engine.state import (
    check_names_and_shapes,
    load_module,
    load_optimizer,
    optimizer_tensors,
    random_states,
    set_random_states,
)
from dcae_export.training.engine.whole_tensors import gather

# Files of a checkpoint, without their suffix; a module's is its name.
_AVERAGES = "ema"
_RANDOM = "random"


class Components:
    """What moves in a run: modules, optimizers, averages and torch's generators.

    ``wrapped`` are the modules to be called, ``plain`` the same without the wrapper of DDP; FSDP2 has none.
    """

    def __init__(self, processes: Processes, training: Trained, ema: EMASettings | None) -> None:
        """Move the training's modules to their device, and wrap those that have an optimizer."""
        self.optimizers = training.optimizers
        self.plain = {name: training.modules[name] for name in training.optimizers}
        for name, module in training.modules.items():
            if name in self.optimizers:
                training.modules[name] = processes.wrap(module, self.optimizers[name])
            else:
                module.to(processes.device)
        self.wrapped = [training.modules[name] for name in self.plain]
        self.ema = None if ema is None else EMA(self.plain[NETWORK], ema)
        self._processes = processes

    def arrays(self) -> dict[str, dict[str, Tensor]]:
        """The tensors of a checkpoint by file, whole; all processes call it, and the main one gets them."""
        main = self._processes.is_main
        arrays: dict[str, dict[str, Tensor]] = {}
        for name, module in self.plain.items():
            arrays[name] = gather(module.state_dict(), keep=main)
            state = optimizer_tensors(module, self.optimizers[name])
            arrays[_optimizer_file(name)] = gather(state, keep=main)
        if self.ema is not None:
            arrays[_AVERAGES] = gather(self.ema.averages, keep=main)
        states = self._processes.gather(random_states(self._processes.device))
        arrays[_RANDOM] = {
            f"{rank}.{device}": state
            for rank, by_device in enumerate(states)
            for device, state in by_device.items()
        }
        return arrays

    def load(self, checkpoint: Checkpoint, *, updates: int) -> None:
        """Continue from a checkpoint of as many processes.

        Args:
            checkpoint: Is read by every process.
            updates: Of the averages.

        Raises:
            WeightsError: It is of another training.
        """
        for name, module in self.plain.items():
            load_module(module, checkpoint.tensors(name), of=f"{checkpoint.path}: {name}")
            file = _optimizer_file(name)
            load_optimizer(
                module,
                self.optimizers[name],
                checkpoint.tensors(file),
                of=f"{checkpoint.path}: {file}",
            )
        if self.ema is not None:
            averages = checkpoint.tensors(_AVERAGES)
            check_names_and_shapes(
                averages, self.ema.averages, of=f"{checkpoint.path}: {_AVERAGES}"
            )
            self.ema.load(averages, updates=updates)
        self._set_random_states(checkpoint)

    def published(self) -> dict[str, Tensor]:
        """The network as it is published: averages where they are kept; gathered as in ``arrays``."""
        main = self._processes.is_main
        weights = gather(self.plain[NETWORK].state_dict(), keep=main)
        return weights | ({} if self.ema is None else gather(self.ema.averages, keep=main))

    def _set_random_states(self, checkpoint: Checkpoint) -> None:
        prefix = f"{self._processes.rank}."
        states = {
            name.removeprefix(prefix): state
            for name, state in checkpoint.tensors(_RANDOM).items()
            if name.startswith(prefix)
        }
        set_random_states(states, self._processes.device)


def _optimizer_file(name: str) -> str:
    return f"{name}.optimizer"
