"""One training, by the engine or by a plain loop, that takes its steps in the turns that a parent gives it."""

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.tasks.small_training import narrow_config, train_network
from benchmarks.tasks.training import write_photographs
from dcae_export.models.autoencoder import Autoencoder
from dcae_export.models.state import state_digest
from dcae_export.pictures.crops import TrainingCrop
from dcae_export.training.autoencoder.perceptual import Structure
from dcae_export.training.autoencoder.recipe import AutoencoderRecipe
from dcae_export.training.data.image_folder import ImageFolderData
from dcae_export.training.data.loading import Loading
from dcae_export.training.engine.events import Event
from dcae_export.training.engine.protocols import Data
from dcae_export.training.initialization import initialize

_VARIANT, _LATENT_CHANNELS = "f64", 128


class GatedData:
    """Batches of other data, as many as are let through; notes when each is asked for.

    A step lasts from one request to the next. What the engine does after a step's event is in it.
    """

    def __init__(self, data: Data[Tensor]) -> None:
        self._data = data
        self._let_through = threading.Semaphore(0)
        self._requests: queue.SimpleQueue[float | Exception] = queue.SimpleQueue()

    def batches(self, position: dict[str, int]) -> Iterator[tuple[Tensor, dict[str, int]]]:
        """The data's batches; waits before each."""
        batches = self._data.batches(position)
        while True:
            self._requests.put(time.perf_counter())
            self._let_through.acquire()
            yield next(batches)

    def let_through(self, count: int) -> None:
        """Allow so many batches more."""
        self._let_through.release(count)

    def fail(self, error: Exception) -> None:
        """Have ``wait`` raise an error."""
        self._requests.put(error)

    def wait(self) -> float:
        """The moment of the next request that was not waited for yet."""
        request = self._requests.get()
        if isinstance(request, Exception):
            raise request
        return request


class TurnTaking:
    """A training in a thread of its own, which stands still between the turns."""

    def __init__(
        self, contestant: str, recipe: dict[str, object], *, folder: Path, divisor: int
    ) -> None:
        """Begin, and wait until the training asks for its first batch.

        Args:
            contestant: ``engine`` or ``plain``.
            recipe: What to do.
            folder: A new folder for pictures and checkpoints.
            divisor: Of the preset's widths.
        """
        chosen = AutoencoderRecipe.model_validate(recipe)
        network = Autoencoder(
            narrow_config(_VARIANT, divisor=divisor, latent_channels=_LATENT_CHANNELS // divisor)
        )
        initialize(network, seed=chosen.seed)
        self._parameters = sum(parameter.numel() for parameter in network.parameters())
        pictures = write_photographs(folder / "pictures")
        self._data = GatedData(
            ImageFolderData.open(
                pictures,
                crop=TrainingCrop(size=chosen.size, min_area=chosen.data.min_area),
                loading=Loading(batch_size=chosen.batch_size),
                seed=chosen.seed,
            )
        )
        self._weights: dict[str, Tensor] = {}
        trainings: dict[str, Callable[[], dict[str, Tensor]]] = {
            "engine": partial(
                train_network, network, chosen, self._data, folder / "run", on_event=_ignore
            ),
            "plain": partial(train_plainly, network, chosen, self._data),
        }
        self._thread = threading.Thread(
            target=self._train, args=(trainings[contestant],), daemon=True
        )
        self._thread.start()
        self._data.wait()

    def take(self, steps: int) -> dict[str, object]:
        """Take some steps: the seconds of each."""
        moments = [time.perf_counter()]
        self._data.let_through(steps)
        moments += [self._data.wait() for _ in range(steps)]
        return {"seconds": [moments[i + 1] - moments[i] for i in range(steps)]}

    def end(self) -> dict[str, object]:
        """Take the last step, after which there is no further request; what came of the training."""
        self._data.let_through(1)
        self._thread.join()
        if not self._weights:
            self._data.wait()
        return {
            "weights": state_digest(self._weights),
            "parameters": self._parameters,
            "threads": torch.get_num_threads(),
        }

    def _train(self, training: Callable[[], dict[str, Tensor]]) -> None:
        try:
            self._weights = training()
        except Exception as error:  # noqa: BLE001 - belongs to the thread that waits
            self._data.fail(error)


def begin(contestant: str, recipe: dict[str, object], folder: str, divisor: int) -> TurnTaking:
    """Begin one of the two trainings; nothing is timed yet."""
    return TurnTaking(contestant, recipe, folder=Path(folder), divisor=divisor)


def train_plainly(
    network: Autoencoder, recipe: AutoencoderRecipe, data: Data[Tensor]
) -> dict[str, Tensor]:
    """The loop that one writes without the engine: losses, clipping, AdamW, averages.

    No word of a step's losses leaves it, and it keeps no checkpoint.
    """
    assert recipe.ema is not None
    assert recipe.losses.perceptual is not None
    assert recipe.optimizer.clip_norm is not None
    structure = Structure(side=recipe.size)
    matrices = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": recipe.optimizer.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=recipe.optimizer.learning_rate,
        betas=recipe.optimizer.betas,
    )
    averages = {name: p.detach().clone() for name, p in network.named_parameters()}
    parameters = list(network.parameters())
    network.train()
    batches = data.batches({})
    for step in range(1, recipe.steps + 1):
        batch, _ = next(batches)
        reconstruction = network(batch)
        loss = recipe.losses.l1 * F.l1_loss(reconstruction, batch)
        loss = loss + recipe.losses.perceptual.weight * structure(batch, reconstruction)
        loss.backward()
        # In the optimizer's order, as the engine sums: the norm has the same bits.
        torch.nn.utils.clip_grad_norm_([*matrices, *vectors], recipe.optimizer.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        weight = 1 + recipe.ema.decay * math.expm1(-step / recipe.ema.warm_up)
        with torch.no_grad():
            torch._foreach_lerp_(list(averages.values()), parameters, weight)
    return network.state_dict() | averages


def _ignore(_: Event) -> None:
    pass
