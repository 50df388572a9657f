"""Encode and decode pictures with a bundle."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dcae_export.bundle.manifest import Dim, Graph, GraphName, split_dim
from dcae_export.bundle.reader import Bundle
from dcae_export.errors import UsageError
from dcae_export.pictures.pixels import to_tensor, to_uint8
from dcae_export.runtime.fit import Fit, fit, fitted_size
from dcae_export.runtime.guidance import filled
from dcae_export.runtime.provider import Provider
from dcae_export.runtime.provider_options import CPU, ProviderOptions
from dcae_export.runtime.session import Session, axes_of


class Autoencoder:
    """A bundle's encoder and decoder. Each session is opened when it is first used, and kept until ``close``.

    ```python
    autoencoder = Autoencoder.open("dc-ae-f64c128-in-1.0")
    back = autoencoder.reconstruct(image)      # uint8 (H, W, 3) -> uint8 (1, H, W, 3)
    ```
    """

    def __init__(self, bundle: Bundle, *, provider: ProviderOptions, threads: int | None) -> None:
        self.bundle = bundle
        self._provider = provider
        self._threads = threads
        self._sessions: dict[GraphName, Session] = {}
        self._opening = threading.Lock()

    @classmethod
    def open(
        cls,
        bundle: Path | str,
        *,
        provider: ProviderOptions = CPU,
        threads: int | None = None,
        verify_hashes: bool = True,
    ) -> "Autoencoder":
        """Open the bundle in a folder.

        Args:
            bundle: The folder.
            provider: Where to run, with its options; nothing else is used in its place.
            threads: Threads inside one operator; None is one per physical core.
            verify_hashes: False skips the files' hashes, never the checks of paths and sizes.

        Raises:
            BundleError: The bundle is missing, incomplete, malformed or of a newer format.
            RefusedError: It names or contains a way out of its folder.
        """
        return cls(
            Bundle.open(bundle, verify_hashes=verify_hashes), provider=provider, threads=threads
        )

    @property
    def provider(self) -> Provider:
        """Where the graphs run."""
        return self._provider.provider

    @property
    def downsample(self) -> int:
        """Pixels of the image per position of the latent, along each side."""
        return self.bundle.manifest.latent.downsample

    def check_size(self, size: tuple[int, int], *, mode: Fit, name: str = "") -> None:
        """Check before the work that the encoder takes a picture, once ``mode`` has fitted it.

        Args:
            size: The picture's (height, width) in pixels.
            mode: What is done with a size that is no multiple of ``downsample``.
            name: The picture's file, for the message.

        Raises:
            UsageError: It does not; the message holds the sizes that it takes.
        """
        graph = self.bundle.manifest.graphs.get("encoder")
        if graph is None:
            return
        first = 1 if self.bundle.manifest.image.layout == "NHWC" else 2
        height, width = (_bounds(graph, dim) for dim in graph.inputs[0].shape[first : first + 2])
        least, most = (height[0], width[0]), (height[1], width[1])
        fitted = fitted_size(size, divisor=self.downsample, mode=mode)
        # Too small a picture to crop is fit's to refuse.
        if 0 in fitted:
            return
        if all(low <= side <= high for low, side, high in zip(least, fitted, most, strict=True)):
            return
        way_out = (
            f"pictures of {_size_text(least)} alone; scale or crop it to that, or export a bundle without --size"
            if least == most
            else f"pictures from {_size_text(least)} to {_size_text(most)}; scale or crop it to one"
        )
        of = f"{name}: " if name else ""
        raise UsageError(f"{of}{_size_text(size)}: this bundle takes {way_out}")

    def encode(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode pictures whose sides are multiples of ``downsample``; a graph of a fixed batch takes fewer as well.

        Args:
            image: RGB, (H, W, 3) or (N, H, W, 3).

        Returns:
            The raw latent, (N, channels, H / downsample, W / downsample).

        Raises:
            UsageError: The shape is not one that the graph takes.
            BundleError, RefusedError: The graph's files are not what the manifest says (first use).
            ProviderError: The provider is not there (first use).
            ResourceError: Not enough memory.
            ParityError: The result is not finite.
        """
        images = _batch(image)
        if any(side % self.downsample for side in images.shape[1:3]):
            raise UsageError(
                f"{images.shape[2]}x{images.shape[1]} is no multiple of {self.downsample}; "
                "pad, crop or resize it with dcae_export.runtime.fit.fit"
            )
        self.check_size((images.shape[1], images.shape[2]), mode=Fit.PAD)
        is_uint8 = self.bundle.manifest.image.dtype == "uint8"
        outputs = self._run("encoder", "image", images if is_uint8 else to_tensor(images))
        return cast("NDArray[np.float32]", outputs["latent"])

    def decode(self, latent: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Decode raw latents; a graph of a fixed batch takes fewer as well.

        Args:
            latent: (N, channels, h, w), as ``encode`` gives it.

        Returns:
            RGB pictures, (N, h * downsample, w * downsample, 3).

        Raises:
            UsageError: The shape is not one that the graph takes.
            BundleError, RefusedError: The graph's files are not what the manifest says (first use).
            ProviderError: The provider is not there (first use).
            ResourceError: Not enough memory.
            ParityError: The result is not finite.
        """
        image = self._run("decoder", "latent", latent)["image"]
        if image.dtype == np.uint8:
            return cast("NDArray[np.uint8]", image)
        return to_uint8(cast("NDArray[np.float32]", image))

    def reconstruct(self, image: NDArray[np.uint8], *, mode: Fit = Fit.PAD) -> NDArray[np.uint8]:
        """Encode and decode pictures of any size.

        Args:
            image: RGB, (H, W, 3) or (N, H, W, 3).
            mode: What to do with a size that is no multiple of ``downsample``; padding is cropped off again.

        Returns:
            RGB pictures, (N, H, W, 3); smaller or resized where ``mode`` says so.

        Raises:
            PictureError: A picture is smaller than one position of the latent and ``mode`` would crop it.
            DcaeError: As ``encode`` and ``decode``.
        """
        images = _batch(image)
        self.check_size((images.shape[1], images.shape[2]), mode=mode)
        fitted = [fit(one, divisor=self.downsample, mode=mode) for one in images]
        height, width = fitted[0][1]
        batch = np.stack([one for one, _ in fitted])
        return self.decode(self.encode(batch))[:, :height, :width]

    def close(self) -> None:
        """Release the sessions and their memory; the next call opens them again."""
        self._sessions.clear()

    def _run(
        self, name: GraphName, port: str, rows: NDArray[np.generic]
    ) -> dict[str, NDArray[np.generic]]:
        """Run a graph of one input; one of a fixed batch runs full, whose further rows are dropped."""
        graph = self.bundle.manifest.graphs.get(name)
        fixed = None if graph is None else graph.inputs[0].shape[0]
        if isinstance(fixed, int) and 0 < len(rows) < fixed:
            inputs = {port: filled(rows, fixed)}
        else:
            inputs = {port: rows}
        with self._opening:
            session = self._sessions.get(name)
            if session is None or not session.takes(axes_of(session.graph, inputs)):
                session = self._sessions[name] = self._open(name, inputs)
        return {output: values[: len(rows)] for output, values in session.run(inputs).items()}

    def _open(self, name: GraphName, inputs: Mapping[str, NDArray[np.generic]]) -> Session:
        # What another size needs in its place is not held beside it.
        self._sessions.pop(name, None)
        files = self.bundle.check_graph(name)
        return Session(
            files,
            provider=self._provider,
            threads=self._threads,
            axes=axes_of(files.graph, inputs),
        )


def _bounds(graph: Graph, dim: Dim) -> tuple[int, int]:
    """The least and the most that a dimension may be."""
    factor, axis = split_dim(dim)
    bounds = next((bounds for name, bounds in graph.ranges.items() if name == axis), None)
    return (factor, factor) if bounds is None else (factor * bounds.min, factor * bounds.max)


def _size_text(size: tuple[int, int]) -> str:
    height, width = size
    return f"{width}x{height}"


def _batch(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image.dtype != np.uint8 or image.ndim not in (3, 4) or image.shape[-1] != 3:
        raise UsageError(
            f"a picture is uint8 (H, W, 3) or (N, H, W, 3), got {image.dtype} {list(image.shape)}"
        )
    return image if image.ndim == 4 else image[None]
