"""All that a TensorRT engine depends on: one that differs in any of it is another engine."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass

from dcae_export.bundle.reader import GraphFiles
from dcae_export.errors import ProviderError
from dcae_export.runtime.library_versions import library_versions
from dcae_export.runtime.nvidia_gpu import Gpu, find_driver, find_gpus
from dcae_export.runtime.provider import built_for_cuda, installed_version
from dcae_export.runtime.provider_options import InputProfile, TensorRtOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """The GPU and the software that an engine is built on, and runs on only."""

    gpu: str
    compute_capability: str
    gpu_memory: int
    driver: str
    cuda: str
    tensorrt: str
    onnxruntime: str

    @classmethod
    def here(cls, *, device: int) -> "Platform":
        """The platform of GPU number ``device``.

        Raises:
            ProviderError: The GPU, the driver's version or TensorRT cannot be found.
        """
        version = built_for_cuda()
        gpu = find_gpu(device)
        driver = find_driver()
        if version is None or driver is None or driver.version is None:
            raise ProviderError(
                "tensorrt: the NVIDIA driver does not say its version, and an engine is kept by it; dcae doctor"
            )
        libraries = library_versions(cuda=int(version.partition(".")[0]))
        return cls(
            gpu=gpu.name,
            compute_capability=gpu.compute_capability,
            gpu_memory=gpu.memory,
            driver=driver.version,
            cuda=str(libraries["CUDA"]),
            tensorrt=str(libraries["TensorRT"]),
            onnxruntime=installed_version(),
        )

    def digest(self) -> str:
        """A name for the folder of what all engines of this platform share."""
        return _digest(dataclasses.asdict(self))


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineKey:
    """An engine's graph, platform and settings.

    The files' hashes stand beside the model's id, which anyone can write into a bundle; those that were not compared
    with the files make another key.
    """

    model_id: str
    graph: str
    digests: tuple[str, ...]
    has_verified_digests: bool
    platform: Platform
    precision: str
    workspace: int | None
    builder_level: int
    profile: tuple[InputProfile, ...]

    @classmethod
    def of(
        cls,
        files: GraphFiles,
        options: TensorRtOptions,
        *,
        platform: Platform,
        profile: tuple[InputProfile, ...],
    ) -> "EngineKey":
        """The key of a graph's engine for these options."""
        return cls(
            model_id=files.model_id,
            graph=files.path.name,
            digests=files.digests,
            has_verified_digests=files.has_verified_digests,
            platform=platform,
            precision=options.precision,
            workspace=options.workspace,
            builder_level=options.builder_level,
            profile=profile,
        )

    def content(self) -> dict[str, object]:
        """The key as JSON has it."""
        content: dict[str, object] = json.loads(json.dumps(dataclasses.asdict(self)))
        return content

    def digest(self) -> str:
        """A name for the engine's folder."""
        return _digest(self.content())


def find_gpu(device: int) -> Gpu:
    """The GPU of a number.

    Raises:
        ProviderError: There is none.
    """
    gpus = find_gpus()
    gpu = next((one for one in gpus if one.number == device), None)
    if gpu is None:
        there = ", ".join(f"{one.number} ({one.name})" for one in gpus) or "none"
        raise ProviderError(f"no GPU {device} here; those there are: {there}")
    return gpu


def _digest(content: dict[str, object]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
