"""Who takes part in the autoencoder benchmark."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.artifacts import Artifacts
from benchmarks.case import Case


@dataclass(frozen=True, kw_only=True, slots=True)
class Contestant:
    """A way to run a case: the module of the worker that opens it, and the files that it opens."""

    name: str
    module: str
    files: Callable[[Artifacts, Case], Path]


BUNDLE = Contestant(
    name="bundle",
    module="benchmarks.tasks.bundle",
    files=lambda artifacts, case: artifacts.bundle(case.variant),
)
PLAIN = Contestant(
    name="plain",
    module="benchmarks.tasks.plain",
    files=lambda artifacts, case: artifacts.plain(case.variant, case.direction),
)
EAGER = Contestant(
    name="eager",
    module="benchmarks.tasks.eager",
    files=lambda artifacts, case: artifacts.weights(case.variant),
)
COMPILE = Contestant(
    name="compile",
    module="benchmarks.tasks.compiled",
    files=lambda artifacts, case: artifacts.weights(case.variant),
)
EVERYONE = (BUNDLE, PLAIN, EAGER, COMPILE)
