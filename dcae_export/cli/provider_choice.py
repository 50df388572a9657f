"""Where a user wants to run, and the options that go with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import click

from dcae_export.cli.command import GpuOption
from dcae_export.cli.console import print_note
from dcae_export.cli.option_types import AxisProfileType, Bytes, WholeNumber
from dcae_export.errors import UsageError
from dcae_export.runtime.provider import Provider
from dcae_export.runtime.provider_options import (
    BUILDER_PRECISIONS,
    CpuOptions,
    CudaOptions,
    CudnnSearch,
    ProviderOptions,
    TensorRtOptions,
)

AUTO = "auto"
PROVIDERS = [provider.value for provider in Provider]
_CUDA = frozenset({"gpu", "memory_limit", "cudnn_search", "prefer_nhwc", "tf32", "cuda_graph"})
_TENSORRT = frozenset(
    {
        "gpu",
        "memory_limit",
        "cuda_graph",
        "precision",
        "engine_cache",
        "timing_cache",
        "workspace",
        "builder_level",
        "profile",
    }
)
# Where commands have an argument of the field's name already.
_FIELDS = {"gpu": "device"}
_TAKEN: dict[str, frozenset[str]] = {
    "cpu": frozenset({"memory_limit"}),
    "cuda": _CUDA,
    "tensorrt": _TENSORRT,
    AUTO: _CUDA,
}


def provider_option() -> click.Option:
    """``--provider``."""
    return click.Option(
        ["--provider"],
        type=click.Choice([*PROVIDERS, AUTO]),
        default="cpu",
        show_default=True,
        help="Where to run; nothing else is used in its place. auto: CUDA if it works, else the CPU.",
    )


def gpu_options() -> list[click.Option]:
    """The options of CUDA and TensorRT, in the order of help; None is the provider's own default."""
    return [
        GpuOption(["--gpu"], type=WholeNumber(min=0), help="Number of the GPU.  [default: 0]"),
        GpuOption(
            ["--cudnn-search"],
            type=click.Choice([search.value for search in CudnnSearch]),
            help="cuda: how convolutions are chosen; exhaustive times each.  [default: heuristic]",
        ),
        GpuOption(
            ["--nhwc/--no-nhwc", "prefer_nhwc"],
            default=None,
            help="cuda: run convolutions channels last.  [default: no-nhwc]",
        ),
        GpuOption(
            ["--tf32/--no-tf32", "tf32"],
            default=None,
            help="cuda: multiply float32 with 10 bits of mantissa.  [default: no-tf32]",
        ),
        GpuOption(
            ["--cuda-graph/--no-cuda-graph", "cuda_graph"],
            default=None,
            help="Record the first run and replay it; for one size.  [default: no-cuda-graph]",
        ),
        GpuOption(
            ["--engine-precision", "precision"],
            type=click.Choice(BUILDER_PRECISIONS),
            help="tensorrt: what layers may compute in; graph: as `dcae engine build` built it.  "
            "[default: fp32]",
        ),
        GpuOption(
            ["--engine-cache"],
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="tensorrt: where engines are kept.  [default: the user's cache]",
        ),
        GpuOption(
            ["--timing-cache/--no-timing-cache", "timing_cache"],
            default=None,
            help="tensorrt: keep the times of layers for the next build.  [default: timing-cache]",
        ),
        GpuOption(
            ["--engine-workspace", "workspace"],
            type=Bytes(),
            metavar="4GB",
            help="tensorrt: memory of one layer while it runs.  [default: TensorRT's choice]",
        ),
        GpuOption(
            ["--builder-level"],
            type=WholeNumber(min=0, max=5),
            help="tensorrt: how long to look for fast kernels.  [default: 3]",
        ),
        GpuOption(
            ["--engine-profile", "profile"],
            type=AxisProfileType(),
            multiple=True,
            metavar="AXIS=MIN:BEST:MAX",
            help="tensorrt: one engine for a range of batch, height or width (of the latent); once for "
            "each.  [default: an engine for each size]",
        ),
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderChoice:
    """``--provider`` and those of its options that were given."""

    name: str
    given: Mapping[str, object]

    @property
    def memory_limit(self) -> int | None:
        """``--memory-limit``."""
        return cast("int | None", self.given.get("memory_limit"))

    def resolve(self) -> ProviderOptions:
        """The options of the provider; for auto, of the one that works, with a note of which.

        Where auto takes the CPU, a second note names the options that were given for a GPU.

        Raises:
            UsageError: An option of another provider was given.
            ProviderError: No ONNX Runtime is installed.
        """
        self._check()
        options = {_FIELDS.get(name, name): value for name, value in self.given.items()}
        if "cudnn_search" in options:
            options["cudnn_search"] = CudnnSearch(options["cudnn_search"])
        match self.name:
            case "cpu":
                return CpuOptions(memory_limit=self.memory_limit)
            case "tensorrt":
                return TensorRtOptions(**options)  # pyright: ignore[reportArgumentType] - click has converted them
            case "cuda":
                return CudaOptions(**options)  # pyright: ignore[reportArgumentType] - click has converted them
            case _:
                found = _automatic(CudaOptions(**options))  # pyright: ignore[reportArgumentType] - as above
                idle = sorted(set(self.given) - _TAKEN[found.provider.value])
                if idle:
                    print_note(
                        f"no effect on the {found.provider.value}: {', '.join(map(_spelling, idle))}"
                    )
                return found

    def _check(self) -> None:
        strange = sorted(set(self.given) - _TAKEN[self.name])
        if not strange:
            return
        *takers, last = [name for name in [*PROVIDERS, AUTO] if strange[0] in _TAKEN[name]]
        either = f"{', '.join(takers)} or {last}" if takers else last
        raise UsageError(f"{_spelling(strange[0])} goes with --provider {either}")


def choice_of(values: dict[str, object]) -> ProviderChoice:
    """Take the provider and its options out of a command's arguments."""
    given: dict[str, object] = {}
    for name in sorted(_CUDA | _TENSORRT):
        value = values.pop(name, None)
        # Not given: None, and no element of an option that may be given more than once.
        if value is not None and value != ():
            given[name] = value
    return ProviderChoice(name=str(values.pop("provider")), given=given)


def _spelling(name: str) -> str:
    """How an option of GPUs is written on the command line."""
    return next(one.opts[0] for one in gpu_options() if one.name == name)


def _automatic(cuda: CudaOptions) -> ProviderOptions:
    from dcae_export.runtime.automatic_provider import automatic_provider

    found, reason = automatic_provider(cuda)
    print_note(f"--provider auto: {found.provider.value}" + (f"; cuda: {reason}" if reason else ""))
    return found
