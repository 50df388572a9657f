"""``dcae warmup``."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcae_export.cli.bundle_argument import bundle_argument, locate_bundle
from dcae_export.cli.command import command_with
from dcae_export.cli.console import json_option, print_json, print_note, print_table, size_text
from dcae_export.cli.progress import Progress
from dcae_export.cli.provider_choice import ProviderChoice
from dcae_export.cli.runtime_options import runtime_options, trial_options

if TYPE_CHECKING:
    from dcae_export.bundle.reader import Bundle
    from dcae_export.runtime.provider_options import ProviderOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class _Warmed:
    """How long a graph took to be ready and to run, and what it took of the GPU: the most, as arenas keep it."""

    graph: str
    open_s: float
    first_s: float
    second_s: float
    gpu_bytes: int | None


@command_with(
    name="warmup",
    examples=(
        "dcae warmup BUNDLE --provider tensorrt --size 2048",
        "dcae warmup BUNDLE --provider tensorrt --engine-precision bf16 --size 1024 --batch 4",
        "dcae warmup BUNDLE --provider cuda --cudnn-search exhaustive",
    ),
)
@bundle_argument
@trial_options
@runtime_options
@json_option
def command(  # noqa: PLR0913 - one argument for each option
    *,
    bundle: str,
    size: tuple[int, int] | None,
    batch: int,
    guidance: float | None,
    provider: ProviderChoice,
    threads: int | None,
    verify_hashes: bool,
    as_json: bool,
) -> None:
    """Open and run each graph of a bundle, so that the first picture need not wait.

    TensorRT builds an engine for each graph and size, which takes minutes, and keeps it for the next process. CUDA
    and the CPU keep nothing: there the command shows how long the first and the second run take.
    """
    from dcae_export.bundle.reader import Bundle

    if not verify_hashes:
        print_note("--no-verify: the hashes of the bundle's files are not checked")
    options = provider.resolve()
    opened = Bundle.open(locate_bundle(bundle), verify_hashes=verify_hashes)
    warmed = _warm_all(opened, options, size=size, batch=batch, guidance=guidance, threads=threads)
    if as_json:
        print_json(
            {
                "bundle": bundle,
                "provider": options.provider.value,
                "graphs": [
                    {
                        "graph": one.graph,
                        "open_s": round(one.open_s, 3),
                        "first_run_s": round(one.first_s, 4),
                        "second_run_s": round(one.second_s, 4),
                        "gpu_bytes": one.gpu_bytes,
                    }
                    for one in warmed
                ],
            }
        )
        return
    print_table(
        ("graph", "ready after", "first run", "second run", "GPU memory"),
        [
            (
                one.graph,
                f"{one.open_s:.1f} s",
                f"{one.first_s:.3f} s",
                f"{one.second_s:.3f} s",
                "-" if one.gpu_bytes is None else size_text(one.gpu_bytes),
            )
            for one in warmed
        ],
    )


def _warm_all(
    bundle: "Bundle",
    options: "ProviderOptions",
    *,
    size: tuple[int, int] | None,
    batch: int,
    guidance: float | None,
    threads: int | None,
) -> list[_Warmed]:
    from dcae_export.runtime.device_memory import free_on_gpu
    from dcae_export.runtime.session import Session
    from dcae_export.runtime.trial_run import trial_axes, trial_inputs

    warmed: list[_Warmed] = []
    stage = "building its engine" if options.provider.value == "tensorrt" else "opening it"
    with Progress("opening", steps=len(bundle.manifest.graphs)) as progress:
        for name in bundle.manifest.graphs:
            progress.stage(f"{name}: {stage}")
            files = bundle.check_graph(name)
            axes = trial_axes(bundle.manifest, name, size=size, batch=batch, guidance=guidance)
            free = free_on_gpu(options)
            begun_s = time.monotonic()
            session = Session(files, provider=options, threads=threads, axes=axes)
            open_s = time.monotonic() - begun_s
            progress.stage(f"{name}: running")
            inputs = trial_inputs(files.graph, axes)
            runs_s: list[float] = []
            for _ in range(2):
                begun_s = time.monotonic()
                session.run(inputs)
                runs_s.append(time.monotonic() - begun_s)
            left = free_on_gpu(options)
            warmed.append(
                _Warmed(
                    graph=name,
                    open_s=open_s,
                    first_s=runs_s[0],
                    second_s=runs_s[1],
                    gpu_bytes=None if free is None or left is None else free - left,
                )
            )
            del session
            progress.advance()
    return warmed
