"""The files that contestants run, made once and kept."""

import importlib.metadata
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.case import Direction
from benchmarks.machine import source_digest
from benchmarks.process import WorkerProcess
from dcae_export.bundle.manifest import Latent
from dcae_export.bundle.reader import Bundle

# What a bundle's bytes depend on; the runtime may change without a new export.
EXPORTING = ("bundle", "export", "models")


@dataclass(frozen=True, slots=True)
class Artifacts:
    """A folder of weights, bundles and plain exports. Whatever is asked for is made if it is not there."""

    folder: Path

    def weights(self, variant: str) -> Path:
        """Random weights in diffusers' layout."""
        folder = self.folder / variant / "weights"
        if not folder.exists():
            _make("draw weights", variant=variant, folder=folder)
        return folder

    def bundle(self, variant: str, *, size: int | None = None) -> Path:
        """Our export, made anew where the exporter's code changed; the outdated one is removed."""
        stem = f"bundle-{_form(size)}"
        folder = self.folder / variant / f"{stem}-{source_digest(*EXPORTING)}"
        if not folder.exists():
            weights = self.weights(variant)
            for outdated in folder.parent.glob(f"{stem}-*"):
                shutil.rmtree(outdated)
            _make("export bundle", weights=weights, folder=folder, size=size)
        return folder

    def plain(self, variant: str, direction: Direction, *, size: int | None = None) -> Path:
        """What torch's own exporter makes of one half of diffusers' autoencoder."""
        versions = (importlib.metadata.version(name) for name in ("torch", "diffusers"))
        stem = f"plain-{direction.graph}-{_form(size)}"
        folder = self.folder / variant / "-".join((stem, *versions))
        if not folder.exists():
            weights = self.weights(variant)
            _make("export plain", weights=weights, folder=folder, graph=direction.graph, size=size)
        return folder

    def transformer(self, name: str, autoencoder: str, *, form: str) -> Path:
        """A transformer with random weights: our graph, a plain export, or only its name for PyTorch."""
        digest = "" if form != "bundle" else f"-{source_digest(*EXPORTING)}"
        folder = self.folder / f"{name}-{autoencoder}" / f"{form}{digest}"
        if not folder.exists():
            for outdated in folder.parent.glob(f"{form}*"):
                shutil.rmtree(outdated)
            _make("make transformer", folder=folder, name=name, autoencoder=autoencoder, form=form)
        return folder

    def pipeline(self, variant: str, transformer: str, side: int) -> Path:
        """A bundle that generates, of random weights, for pictures of ``side`` pixels."""
        digest = source_digest(*EXPORTING)
        folder = self.folder / f"{variant}-{transformer}" / f"pipeline-{side}-{digest}"
        if not folder.exists():
            for outdated in folder.parent.glob(f"pipeline-{side}-*"):
                shutil.rmtree(outdated)
            _make(
                "export pipeline",
                folder=folder,
                variant=variant,
                transformer=transformer,
                side=side,
            )
        return folder

    def tiny(self, samplers: Sequence[str]) -> Path:
        """A bundle of a small network and random weights, over a flow, with these samplers."""
        names = "-".join(sampler.replace(":", "") for sampler in samplers)
        return self._for_runtimes(f"tiny-{names}", "export tiny", samplers=list(samplers))

    def demo(self, side: int) -> Path:
        """The demo model's bundle for pictures of ``side`` pixels."""
        return self._for_runtimes(f"demo-{side}", "export demo", side=side)

    def _for_runtimes(self, stem: str, task: str, **arguments: int | list[str]) -> Path:
        folder = self.folder / "runtimes" / f"{stem}-{source_digest(*EXPORTING)}"
        if not folder.exists():
            for outdated in folder.parent.glob(f"{stem}-*"):
                shutil.rmtree(outdated)
            _make(task, folder=folder, **arguments)
        return folder

    def on_device(
        self, autoencoder: str, transformer: str, side: int, precision: str, *, alone: bool = False
    ) -> Path:
        """Graphs for target cuda of random weights, for pictures of ``side`` pixels.

        A bundle that generates, or with ``alone`` a folder with the transformer only.
        """
        form = "transformer" if alone else "bundle"
        stem = f"{form}-{side}-{precision}"
        digest = source_digest(*EXPORTING)
        folder = self.folder / "gpu" / f"{transformer}-{autoencoder}" / f"{stem}-{digest}"
        if not folder.exists():
            for outdated in folder.parent.glob(f"{stem}-*"):
                shutil.rmtree(outdated)
            _make(
                f"export gpu {form}",
                folder=folder,
                autoencoder=autoencoder,
                transformer=transformer,
                side=side,
                precision=precision,
            )
        return folder

    def denoiser_input(self, name: str, autoencoder: str) -> tuple[int, ...]:
        """Channels, rows and columns of what a transformer takes."""
        files = self.transformer(name, autoencoder, form="eager")
        with WorkerProcess() as worker:
            shape = worker.call("transformer input", folder=str(files))["shape"]
        assert isinstance(shape, list)
        return tuple(int(side) for side in shape)

    def latent(self, variant: str) -> Latent:
        """The latent's size."""
        return Bundle.open(self.bundle(variant)).manifest.latent


def _make(task: str, *, folder: Path, **arguments: Path | str | int | list[str] | None) -> None:
    print(f"making {folder}", flush=True)
    texts = {
        name: str(value) if isinstance(value, Path) else value for name, value in arguments.items()
    }
    with WorkerProcess() as worker:
        worker.call(task, folder=str(folder), **texts)


def _form(size: int | None) -> str:
    return "dynamic" if size is None else str(size)
