"""Generate pictures with a bundle: noise, the sampler's table, the decoder."""

import bisect
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcae_export.bundle.interface import default_grid
from dcae_export.bundle.manifest import (
    FLOAT32_MAX,
    Conditioning,
    Diffusion,
    Graph,
    GraphName,
    Samplers,
)
from dcae_export.bundle.reader import Bundle
from dcae_export.errors import BundleError, CancelledError, ParityError, ResourceError, UsageError
from dcae_export.runtime.autoencoder import Autoencoder
from dcae_export.runtime.device_memory import memory_for
from dcae_export.runtime.device_sampling import sample_on_device
from dcae_export.runtime.forecast import run_bytes, weight_bytes
from dcae_export.runtime.guidance import GuidedNetwork
from dcae_export.runtime.labels import label_numbers
from dcae_export.runtime.memory import (
    available_memory,
    memory_text,
    return_free_memory,
    there_text,
)
from dcae_export.runtime.provider_options import CPU, CpuOptions, ProviderOptions
from dcae_export.runtime.session import Session
from dcae_export.sampling.noise import latent_noise
from dcae_export.sampling.table import OnStep, Table, sample

Latents = NDArray[np.float32]
Size = tuple[int, int]
"""Height and width in pixels."""

# Rows of one call share the reading of the weights; the memory of a run grows with them.
IMAGES_PER_CALL = 4
# Of the latent's size, for each row of a call: the state, its base, sixteen entries of history, what a step makes.
_ARRAYS_PER_ROW = 24
# A picture is there as it was decoded and among all of them; then among all, in the sheet, turned for the file, and as
# the file has it.
_COPIES_DECODED, _COPIES_WRITTEN = 2, 4


class Pipeline:
    """A bundle with a transformer. One seed gives one image: image i of a request draws from seed + i.

    One session is alive at a time: the transformer is released before the decoder is loaded. On a GPU the latents
    stay there from the first evaluation to the last.

    ```python
    pipeline = Pipeline.open("dc-ae-f64c128-in-1.0-uvit-h-in-512px")
    images = pipeline.generate([88, 279], seed=0)      # uint8 (2, 512, 512, 3)
    ```
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        provider: ProviderOptions = CPU,
        threads: int | None = None,
        memory_limit: int | None = None,
        keep_sessions: bool = False,
    ) -> None:
        """Use ``Pipeline.open``."""
        manifest = bundle.manifest
        if manifest.diffusion is None or manifest.conditioning is None or manifest.samplers is None:
            raise BundleError(
                f"{bundle.path}: holds no transformer, so it cannot generate; export it with --transformer"
            )
        self.bundle = bundle
        self.diffusion: Diffusion = manifest.diffusion
        self.conditioning: Conditioning = manifest.conditioning
        self.samplers: Samplers = manifest.samplers
        self._threads = threads
        # The lower one, should a caller give both.
        limits = [one for one in (memory_limit, provider.memory_limit) if one is not None]
        self._provider = replace(provider, memory_limit=min(limits, default=None))
        self._keep_sessions = keep_sessions
        # Until a request says how much it takes.
        self._keeps = keep_sessions
        self._autoencoder = Autoencoder(bundle, provider=self._provider, threads=threads)
        self._transformer: Session | None = None
        self._has_checked_decoder = False
        self._gpu_memory: int | None = None
        self._sessions = threading.Lock()

    @classmethod
    def open(
        cls,
        bundle: Path | str,
        *,
        provider: ProviderOptions = CPU,
        threads: int | None = None,
        memory_limit: int | None = None,
        keep_sessions: bool = False,
        verify_hashes: bool = True,
    ) -> "Pipeline":
        """Open the bundle in a folder.

        Args:
            bundle: The folder.
            provider: Where to run, with its options; nothing else is used in its place.
            threads: Threads inside one operator; None is one per physical core.
            memory_limit: Bytes that a run may take beside what the process holds already, of the GPU where one is
                used; None is what is left.
            keep_sessions: Keep the transformer and the decoder loaded from one call to the next: faster, and
                both are in memory at once. Where the limit does not hold both, each is released after its part.
            verify_hashes: False skips the files' hashes, never the checks of paths and sizes.

        Raises:
            BundleError: The bundle is missing, incomplete, malformed, of a newer format, or has no transformer.
            RefusedError: It names or contains a way out of its folder.
        """
        return cls(
            Bundle.open(bundle, verify_hashes=verify_hashes),
            provider=provider,
            threads=threads,
            memory_limit=memory_limit,
            keep_sessions=keep_sessions,
        )

    @property
    def size(self) -> Size:
        """The (height, width) in pixels of an image where nothing else is asked for: that of the training."""
        rows, columns = default_grid(self.diffusion, self._graph("transformer"))
        factor = self._autoencoder.downsample
        return factor * rows, factor * columns

    def checked_size(
        self, size: Size | None = None, *, images: int = 1, guidance: float | None = None
    ) -> Size:
        """The (height, width) of a request, known to be one that can be made before anything is brought to it.

        Raises:
            UsageError: The bundle does not make this size, or the guidance is no weight.
            ResourceError: Not enough memory; the message names the sizes that fit.
        """
        grid = self._checked_grid(size, images, guided=self._is_guided(self._weight(guidance)))
        factor = self._autoencoder.downsample
        return factor * grid[0], factor * grid[1]

    def generate(  # noqa: PLR0913 - one argument for each option
        self,
        labels: Sequence[int | str | None],
        *,
        seed: int = 0,
        sampler: str | None = None,
        guidance: float | None = None,
        latents: Latents | None = None,
        size: Size | None = None,
        image: NDArray[np.uint8] | None = None,
        strength: float = 1.0,
        on_step: OnStep | None = None,
        on_picture: OnStep | None = None,
    ) -> NDArray[np.uint8]:
        """Generate one picture for each label.

        Args:
            labels: Numbers or names; None is the null label, and the only one of an unconditional model.
            seed: Image i draws from seed + i, modulo 2^64.
            sampler: A table of the bundle; None is its default.
            guidance: The guidance weight, from 0, where the unconditional prediction is left alone; 1 runs the labels'
                half alone; None is the bundle's default.
            latents: The noise to begin with in place of the seed's, (N, channels, h, w), in diffusion scale.
            size: (height, width) in pixels; None is ``size``.
            image: A picture to vary, (height, width, 3) of the request's size.
            strength: With ``image``: the share of the steps that are run, in (0, 1].
            on_step: Called after each evaluation with its number and their count; False cancels.
            on_picture: Called after the decoding of each call of the decoder, with how many pictures are decoded and
                their count; False cancels.

        Returns:
            RGB pictures, (N, H, W, 3).

        Raises:
            UsageError: A label, sampler, size or shape that the bundle does not have, or a guidance that is no weight.
            ResourceError: Not enough memory; the message names the sizes that fit.
            CancelledError: ``on_step`` or ``on_picture`` returned False.
            BundleError, RefusedError: A graph's files are not what the manifest says; found before the first evaluation.
            DcaeError: As ``Session.run``.
        """
        self._check_decoder()
        self._require_room(len(labels), size, guided=self._is_guided(self._weight(guidance)))
        drawn = self.sample(
            labels,
            seed=seed,
            sampler=sampler,
            guidance=guidance,
            latents=latents,
            size=size,
            image=image,
            strength=strength,
            on_step=on_step,
        )
        return self.decode(drawn, on_picture=on_picture)

    def evaluations(
        self,
        images: int,
        *,
        sampler: str | None = None,
        guidance: float | None = None,
        strength: float = 1.0,
        size: Size | None = None,
    ) -> int:
        """How often a request evaluates the transformer, and calls ``on_step``.

        Raises:
            UsageError: The bundle has no such sampler or size, or the guidance is no weight.
        """
        table = self.table(sampler)
        per_call = self._images_per_call(
            images,
            self._grid(self.size if size is None else size),
            guided=self._is_guided(self._weight(guidance)),
        )
        return -(-images // per_call) * (len(table.rows) - table.start_row(strength))

    def decode(self, latents: Latents, *, on_picture: OnStep | None = None) -> NDArray[np.uint8]:
        """The pictures of latents in diffusion scale: each image is one call of the decoder, but for a fixed batch.

        Args:
            latents: (N, channels, h, w).
            on_picture: As in ``generate``.

        Returns:
            RGB pictures, (N, H, W, 3).

        Raises:
            CancelledError: ``on_picture`` returned False.
            ParityError: The latents are not finite in the decoder's scale.
            DcaeError: As ``Autoencoder.decode``.
        """
        scaling_factor, shift = self._scale()
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            raw = latents / scaling_factor + shift
        if not np.isfinite(raw).all():
            raise ParityError("the latents are not finite; nothing was written")
        rows = self._fixed_rows("decoder") or 1
        pictures: list[NDArray[np.uint8]] = []
        try:
            for at in range(0, len(raw), rows):
                pictures.append(self._autoencoder.decode(raw[at : at + rows]))
                done = min(at + rows, len(raw))
                if on_picture is not None and on_picture(done, len(raw)) is False:
                    raise CancelledError(f"stopped after {done} of {len(raw)} pictures")
            return np.concatenate(pictures)
        finally:
            self._release()

    def sample(  # noqa: PLR0913 - one argument for each option
        self,
        labels: Sequence[int | str | None],
        *,
        seed: int = 0,
        sampler: str | None = None,
        guidance: float | None = None,
        latents: Latents | None = None,
        size: Size | None = None,
        image: NDArray[np.uint8] | None = None,
        strength: float = 1.0,
        on_step: OnStep | None = None,
    ) -> Latents:
        """Draw latents: ``generate`` without the decoder.

        Returns:
            (N, channels, h, w) in diffusion scale, (z - shift) * scaling factor.

        Raises:
            DcaeError: As ``generate``.
        """
        numbers = label_numbers(labels, self.conditioning)
        table = self.table(sampler)
        weight = self._weight(guidance)
        guided = self._is_guided(weight)
        grid = self._checked_grid(size, len(labels), guided=guided)
        noise = self._noise(len(labels), grid, seed, latents)
        per_call = self._images_per_call(len(labels), grid, guided=guided)
        features = self._time_features(sampler, table)
        first_row, start = 0, None
        if image is not None:
            first_row = table.start_row(strength)
            start = self._encode(image, grid)
        chunks = [slice(at, at + per_call) for at in range(0, len(labels), per_call)]
        steps = _Steps(len(chunks) * (len(table.rows) - first_row), on_step)
        drawn: list[Latents] = []
        session: Session | None = None
        try:
            for chunk in chunks:
                images = len(labels[chunk])
                axes = self._axes("transformer", images * (2 if guided else 1), grid) or {}
                # An engine for a recorded CUDA graph has one batch, and the last pictures may be fewer.
                if session is None or not session.takes(axes):
                    del session
                    session = self._open_transformer(axes)
                draw = sample if session.device.kind == "cpu" else sample_on_device
                drawn.append(
                    draw(
                        table,
                        network=GuidedNetwork(
                            session=session,
                            labels=None if numbers is None else numbers[chunk],
                            null_label=self.conditioning.null_label if guided else None,
                            guidance=weight,
                            with_variance=table.learned_variance,
                            time_features=features,
                        ),
                        noise=lambda stream, chunk=chunk: noise(stream, chunk),
                        on_step=steps,
                        init_latent=None if start is None else np.repeat(start, images, axis=0),
                        first_row=first_row,
                    )
                )
        finally:
            session = None
            self._release()
        return np.concatenate(drawn)

    def table(self, sampler: str | None = None) -> Table:
        """The table of a sampler; None is the bundle's default.

        Raises:
            UsageError: The bundle has no such sampler; the message lists those there are.
        """
        name = self.samplers.default if sampler is None else sampler
        if name not in self.samplers.tables:
            raise UsageError(
                f"sampler {name!r}: this bundle has {', '.join(self.samplers.tables)}; "
                f"dcae samplers {self.bundle.path} --add NAME:N adds one"
            )
        return self.samplers.tables[name].to_table()

    def _time_features(
        self, sampler: str | None, table: Table
    ) -> dict[float, NDArray[np.float32]] | None:
        """The features of each time of a table, for transformers that take those."""
        array = self.bundle.time_features(self.samplers.default if sampler is None else sampler)
        if array is None:
            return None
        return {row.t: one.astype(np.float32) for row, one in zip(table.rows, array, strict=True)}

    def _checked_grid(self, size: Size | None, images: int, *, guided: bool) -> tuple[int, int]:
        """The grid of a request, one that both graphs take and whose runs the memory holds."""
        grid = self._grid(self.size if size is None else size)
        per_call = self._images_per_call(images, grid, guided=guided)
        self._require_memory(grid, per_call * (2 if guided else 1))
        return grid

    def _grid(self, size: Size) -> tuple[int, int]:
        factor = self._autoencoder.downsample
        if any(side <= 0 or side % factor for side in size):
            height, width = (max(1, round(side / factor)) * factor for side in size)
            raise UsageError(
                f"{size[1]}x{size[0]}: sides are multiples of {factor}; the nearest is {width}x{height}"
            )
        grid = size[0] // factor, size[1] // factor
        if self._axes("transformer", 1, grid) is None or self._axes("decoder", 1, grid) is None:
            raise UsageError(
                f"{size[1]}x{size[0]}: this bundle makes {self.size[1]}x{self.size[0]}; "
                "export one with --interpolate-positions (U-ViT) or --size"
            )
        return grid

    def _axes(self, name: GraphName, batch: int, grid: tuple[int, int]) -> dict[str, int] | None:
        """The graph's named axes at a batch and grid; None where it does not take them."""
        channels = self.bundle.manifest.latent.channels
        return self._graph(name).latent_axes(batch, channels=channels, grid=grid)

    def _graph(self, name: GraphName) -> Graph:
        return self.bundle.manifest.graphs[name]

    def _fixed_rows(self, name: GraphName) -> int | None:
        """The batch of a graph that takes no other; None for one that does, or is not there."""
        graph = self.bundle.manifest.graphs.get(name)
        rows = None if graph is None else graph.inputs[0].shape[0]
        return rows if isinstance(rows, int) else None

    def _weight(self, guidance: float | None) -> float:
        weight = self.samplers.default_guidance if guidance is None else guidance
        if not 0 <= weight <= FLOAT32_MAX:
            raise UsageError(
                f"guidance {weight}: a weight is a number from 0; 1 is the label's prediction alone"
            )
        return weight

    def _is_guided(self, weight: float) -> bool:
        return self.conditioning.num_classes is not None and weight != 1

    def _images_per_call(self, images: int, grid: tuple[int, int], *, guided: bool) -> int:
        """The pictures that one call of the transformer makes: as many as the memory holds, up to four."""
        fixed, rows = self._fixed_rows("transformer"), 2 if guided else 1
        if fixed is not None:
            return fixed // rows
        most = min(images, IMAGES_PER_CALL, self._graph("transformer").ranges["batch"].max // rows)
        available = self._available()
        for count in range(most, 1, -1):
            needs = self._forecast(grid, count * rows)
            if needs is None or available is None or max(needs) <= available:
                return count
        return min(most, 1)

    def _require_memory(self, grid: tuple[int, int], rows: int) -> None:
        """One session is alive at a time where both do not fit, so the larger one decides."""
        available = self._available()
        needs = self._forecast(grid, rows)
        if needs is None or available is None:
            return
        self._keeps = self._keep_sessions and sum(needs) <= available
        needed = max(needs)
        if needed <= available:
            return
        factor = self._autoencoder.downsample
        side = factor * self._fitting_side(max(grid), rows, available)
        limit = self._provider.memory_limit
        none_fits = f"no size fits; {'raise it' if available == limit else 'close other programs'}"
        raise ResourceError(
            f"{factor * grid[1]}x{factor * grid[0]} needs {memory_text(needed)} of memory, "
            f"{there_text(available, limit=limit)}: {f'up to {side}x{side} fit' if side else none_fits}"
        )

    def _require_room(self, images: int, size: Size | None, *, guided: bool) -> None:
        """Pictures are held until all of them are written, beside the decoder where that is in the same memory."""
        if images < 2:
            return
        grid = self._checked_grid(size, images, guided=guided)
        height, width = (self._autoencoder.downsample * side for side in grid)
        held = images * 3 * height * width
        needed = _COPIES_WRITTEN * held
        limit = None
        if isinstance(self._provider, CpuOptions):
            limit = self._provider.memory_limit
            _, decoder = self._forecast(grid, 1) or (0, 0)
            needed = max(needed, _COPIES_DECODED * held + decoder)
        available = available_memory(limit=limit)
        if needed > available:
            remedy = "raise it" if available == limit else "close other programs"
            raise ResourceError(
                f"{images} pictures of {width}x{height} need {memory_text(needed)} of memory until they are written, "
                f"{there_text(available, limit=limit)}; {remedy} or make fewer at a time"
            )

    def _available(self) -> int | None:
        """The bytes that a request may take; None if unknown."""
        if isinstance(self._provider, CpuOptions):
            return memory_for(self._provider)
        # What is free later is less by what our own sessions hold, and would be counted twice.
        if self._gpu_memory is None:
            self._gpu_memory = memory_for(self._provider)
        return self._gpu_memory

    def _fitting_side(self, below: int, rows: int, available: int) -> int:
        """The largest side of a square of the latent's positions that fits; 0 where none does."""
        latent = self._graph("transformer").inputs[0]
        *_, patch = latent.resolve({"batch": 1, "height": 1, "width": 1})
        sides = range(patch, below, patch)

        def needed(side: int) -> float:
            return max(self._forecast((side, side), rows) or [math.inf])

        # What is needed grows with the side.
        fitting = bisect.bisect_right(sides, available, key=needed)
        return sides[fitting - 1] if fitting else 0

    def _forecast(self, grid: tuple[int, int], rows: int) -> list[int] | None:
        """What the transformer and the decoder need, weights and a run of each; None for a grid that they do not take."""
        needs: list[int] = []
        provider = self._provider.provider
        batches: dict[GraphName, int] = {"transformer": rows, "decoder": 1}
        for name, batch in batches.items():
            axes = self._axes(name, batch, grid)
            if axes is None:
                return None
            graph = self._graph(name)
            weights = weight_bytes(self.bundle.manifest, graph, provider=provider)
            needs.append(weights + run_bytes(graph, axes, provider=provider))
        latent = 4 * self.bundle.manifest.latent.channels * math.prod(grid)
        needs[0] += _ARRAYS_PER_ROW * rows * latent
        return needs

    def _scale(self) -> tuple[np.float32, np.float32]:
        latent = self.bundle.manifest.latent
        assert latent.scaling_factor is not None
        return np.float32(latent.scaling_factor), np.float32(latent.shift)

    def _noise(
        self, images: int, grid: tuple[int, int], seed: int, latents: Latents | None
    ) -> "Callable[[int, slice], Latents]":
        shape = (self.bundle.manifest.latent.channels, *grid)
        if latents is not None and latents.shape != (images, *shape):
            raise UsageError(
                f"latents of shape {list(latents.shape)}, this request takes {[images, *shape]}"
            )

        def draw(stream: int, chunk: slice) -> Latents:
            if stream == 0 and latents is not None:
                return latents[chunk].astype(np.float32, copy=False)
            indices = range(images)[chunk]
            return np.stack([latent_noise(seed + i, stream=stream, shape=shape) for i in indices])

        return draw

    def _encode(self, image: NDArray[np.uint8], grid: tuple[int, int]) -> Latents:
        factor = self._autoencoder.downsample
        if image.shape[:2] != (factor * grid[0], factor * grid[1]):
            raise UsageError(
                f"a picture of {image.shape[1]}x{image.shape[0]}, the request is for "
                f"{factor * grid[1]}x{factor * grid[0]}; fit it first"
            )
        scaling_factor, shift = self._scale()
        try:
            raw = self._autoencoder.encode(image)
        finally:
            self._release()
        # A start that overflows is found by the walk.
        with np.errstate(over="ignore", invalid="ignore"):
            return (raw - shift) * scaling_factor

    def _open_transformer(self, axes: Mapping[str, int]) -> Session:
        with self._sessions:
            if self._transformer is not None and self._transformer.takes(axes):
                return self._transformer
            self._transformer = None
            session = Session(
                self.bundle.check_graph("transformer"),
                provider=self._provider,
                threads=self._threads,
                axes=axes,
            )
            if self._keeps:
                self._transformer = session
            return session

    def _check_decoder(self) -> None:
        """Look at the decoder's files before the sampling, which may take minutes that a damaged one would waste."""
        if not self._has_checked_decoder:
            self.bundle.check_graph("decoder")
            self._has_checked_decoder = True

    def _release(self) -> None:
        if not self._keeps:
            self._transformer = None
            self._autoencoder.close()
            return_free_memory()


class _Steps:
    """Counts evaluations over all calls of the sampler that a request takes."""

    def __init__(self, count: int, on_step: OnStep | None) -> None:
        self._count = count
        self._on_step = on_step
        self._done = 0

    def __call__(self, step: int, count: int) -> bool | None:  # noqa: ARG002
        self._done += 1
        return None if self._on_step is None else self._on_step(self._done, self._count)
