"""A training step of each phase at full size, and what freezing saves."""

from benchmarks.process import WorkerProcess

STEPS = 3
# One thing differs between the cells of a comparison: what trains. The weights of VGG-16 are not at hand.
COMMON = {
    "batch_size": "1",
    "workers": "0",
    "steps": str(STEPS),
    "precision": "fp32",
    "losses.perceptual.kind": "structure",
    "sample_every": "null",
    "checkpoint_every": str(STEPS),
    "evaluation_images": "1",
}
PHASES = (1, 2, 3)


def measure_phase(
    variant: str, phase: int, *, size: int, checkpoint_activations: bool
) -> dict[str, object]:
    """Seconds of a step, losses and peak memory of one phase; weights are random."""
    settings = COMMON | {
        "size": str(size),
        "checkpoint_activations": str(checkpoint_activations).lower(),
    }
    if phase == PHASES[-1]:
        settings["losses.adversarial.start_step"] = "0"
    with WorkerProcess() as worker:
        return worker.call(
            "train steps",
            recipe=f"{variant}-phase{phase}",
            init_from=None if phase == PHASES[0] else "random:0",
            settings=settings,
        )
