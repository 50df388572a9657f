"""Look at what the passes made of a graph, beside torch's own export of diffusers."""

from pathlib import Path

from benchmarks.artifacts import Artifacts
from benchmarks.case import Case, Direction
from benchmarks.process import WorkerProcess

STATIC_SIZE = 256
PROFILED_SIZE = 512


def count_nodes(
    variant: str, direction: Direction, artifacts: Artifacts, *, size: int | None
) -> dict[str, object]:
    """Operators of our graph and of the plain one, for a fixed size or for any."""
    name = f"{direction.graph}.onnx"
    return {
        "bundle": _count(artifacts.bundle(variant, size=size) / name),
        "plain": _count(artifacts.plain(variant, direction, size=size) / name),
    }


def profile_decoder(variant: str, artifacts: Artifacts) -> dict[str, object]:
    """Where the time of one decode goes, by operator."""
    case = Case(variant=variant, direction=Direction.DECODE, size=PROFILED_SIZE)
    path = artifacts.bundle(variant) / "decoder.onnx"
    with WorkerProcess() as worker:
        return worker.call(
            "profile", path=str(path), shape=case.input_shape(artifacts.latent(variant))
        )


def _count(path: Path) -> dict[str, object]:
    with WorkerProcess() as worker:
        return worker.call("count operators", path=str(path))
