"""Every check of the suite by its name: each runs the program and says what is wrong, or nothing."""

import dataclasses
import hashlib
import itertools
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dcae_export.parity import UINT8, Tolerance, difference
from dcae_export.pictures.tile import tile
from runtimes.conformance.cases import Cases, Generation, Hostile, Noise, Roundtrip, Usage
from runtimes.conformance.damage import damage_bundle
from runtimes.conformance.program import Outcome, Program
from runtimes.conformance.suite import Suite

TRAJECTORY = Tolerance(
    relative_l2=1e-4,
    max_abs=1e-3,
    because="another build of ONNX Runtime sums in another order, in each of a few evaluations",
)
_LONGEST_MESSAGE = 1000
# As the expectation was computed: how work is shared out among threads may decide a last bit.
_ONE_THREAD = ("--threads", "1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    """A program under test.

    ``bits`` asks for equal bits, as the same build of ONNX Runtime gives on the same machine; otherwise graphs may
    differ by rounding. ``without`` names options that the program does not have, and is not asked for.
    """

    program: Program
    bits: bool = True
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One check; ``options`` are those beside ``--out`` that it needs."""

    name: str
    run: Callable[[Suite, Runtime, Path], Iterator[str]]
    options: frozenset[str] = frozenset()

    def problems(self, suite: Suite, runtime: Runtime) -> list[str]:
        """What is wrong, one line each; nothing where the program passes."""
        with tempfile.TemporaryDirectory() as folder:
            return list(self.run(suite, runtime, Path(folder)))


def all_checks(cases: Cases) -> list[Check]:
    """The checks of the suite."""
    bundles = sorted({case.bundle for case in cases.generations})
    return [
        *(_noise_check(case) for case in cases.noise),
        *itertools.chain.from_iterable(map(_bundle_checks, bundles)),
        *itertools.chain.from_iterable(map(_roundtrip_checks, cases.roundtrips)),
        *itertools.chain.from_iterable(map(_generation_checks, cases.generations)),
        *map(_usage_check, cases.usage),
        *map(_hostile_check, cases.hostile),
    ]


# ------------------------------------------------------------------------------------- noise


def _noise_check(case: Noise) -> Check:
    def run(_: Suite, runtime: Runtime, folder: Path) -> Iterator[str]:
        out = folder / "noise.npy"
        numbers = ("--seed", case.seed, "--stream", case.stream, "--count", case.count)
        outcome = runtime.program(["noise", *map(str, numbers), "--out", str(out)])
        if (yield from _failed(outcome)):
            return
        noise = np.load(out)
        if (noise.dtype, noise.shape) != (np.dtype("<f4"), (case.count,)):
            yield f"{noise.dtype} {noise.shape}, float32 ({case.count},) expected"
        elif hashlib.sha256(noise.tobytes()).hexdigest() != case.sha256:
            yield f"other numbers; they begin with {noise[:4]}"

    return Check(name=f"noise: seed {case.seed}, stream {case.stream}, {case.count}", run=run)


# ------------------------------------------------------------------------------------ bundles


def _bundle_checks(name: str) -> list[Check]:
    def verify(suite: Suite, runtime: Runtime, _: Path) -> Iterator[str]:
        yield from _passes(runtime.program(["verify", str(suite.bundle(name))]))

    def parity(suite: Suite, runtime: Runtime, _: Path) -> Iterator[str]:
        yield from _passes(runtime.program(["parity", str(suite.bundle(name))]))

    def inspect(suite: Suite, runtime: Runtime, _: Path) -> Iterator[str]:
        outcome = runtime.program(["inspect", str(suite.bundle(name)), "--json"])
        if (yield from _failed(outcome)):
            return
        manifest = json.loads((suite.bundle(name) / "manifest.json").read_bytes())
        if json.loads(outcome.out).get("manifest") != manifest:
            yield "its JSON does not hold the manifest as the file does"

    commands = {"verify": verify, "parity": parity, "inspect": inspect}
    return [Check(name=f"{command}: {name}", run=run) for command, run in commands.items()]


def _roundtrip_checks(case: Roundtrip) -> list[Check]:
    def encode(suite: Suite, runtime: Runtime, folder: Path) -> Iterator[str]:
        out = folder / "latent.npy"
        files = (suite.bundle(case.bundle), suite.picture(case.picture), "--out", out, *_ONE_THREAD)
        if not (yield from _failed(runtime.program(["encode", *map(str, files)]))):
            expected = suite.expected(case.name)["latent"]
            yield from _differs(np.load(out), expected, runtime, TRAJECTORY)

    def decode(suite: Suite, runtime: Runtime, folder: Path) -> Iterator[str]:
        expected = suite.expected(case.name)
        latent, out = folder / "latent.npy", folder / "picture.png"
        np.save(latent, expected["latent"])
        files = (suite.bundle(case.bundle), latent, "--out", out, *_ONE_THREAD)
        if not (yield from _failed(runtime.program(["decode", *map(str, files)]))):
            yield from _differs(suite.read_picture(out), expected["picture"], runtime, UINT8)

    def reconstruct(suite: Suite, runtime: Runtime, folder: Path) -> Iterator[str]:
        out = folder / "picture.png"
        files = (suite.bundle(case.bundle), suite.picture(case.picture), "--out", out, *_ONE_THREAD)
        if not (yield from _failed(runtime.program(["reconstruct", *map(str, files)]))):
            expected = suite.expected(case.name)
            height, width = int(expected["height"]), int(expected["width"])
            cropped = expected["picture"][:height, :width]
            yield from _differs(suite.read_picture(out), cropped, runtime, UINT8)

    commands = {"encode": encode, "decode": decode, "reconstruct": reconstruct}
    return [Check(name=f"{name}: {case.name}", run=run) for name, run in commands.items()]


# -------------------------------------------------------------------------------- generation


def _generation_checks(case: Generation) -> list[Check]:
    def sample(suite: Suite, runtime: Runtime, folder: Path) -> Iterator[str]:
        out = folder / "latents.npy"
        options = _options(suite, case)
        if not (yield from _failed(runtime.program(["sample", *options, "--out", str(out)]))):
            expected = suite.expected(case.name)["latents"]
            yield from _differs(np.load(out), expected, _of(runtime, len(expected)), TRAJECTORY)

    def generate(suite: Suite, runtime: Runtime, folder: Path) -> Iterator[str]:
        out = folder / "picture.png"
        options = _options(suite, case)
        if not (yield from _failed(runtime.program(["generate", *options, "--out", str(out)]))):
            pictures = cast("NDArray[np.uint8]", suite.expected(case.name)["pictures"])
            expected = pictures[0] if len(pictures) == 1 else tile(pictures)
            found = suite.read_picture(out)
            yield from _differs(found, expected, _of(runtime, len(pictures)), UINT8)

    needed = frozenset({"--from"} if case.request.picture is not None else ())
    checks = [Check(name=f"sample: {case.name}", run=sample, options=needed | {"sample"})]
    if case.pictures:
        checks.append(Check(name=f"generate: {case.name}", run=generate, options=needed))
    return checks


def _of(runtime: Runtime, images: int) -> Runtime:
    """Several images are judged by rounding: how many a call takes is the runtime's choice, and kernels differ by it."""
    return runtime if images == 1 else dataclasses.replace(runtime, bits=False)


def _options(suite: Suite, case: Generation) -> list[str]:
    request = case.request
    options = [str(suite.bundle(case.bundle)), "--seed", str(request.seed), *_ONE_THREAD]
    options += [part for label in request.labels for part in ("--label", label)]
    if request.count != 1:
        options += ["--count", str(request.count)]
    if request.sampler is not None:
        options += ["--sampler", request.sampler]
    if request.guidance is not None:
        options += ["--guidance", repr(request.guidance)]
    if request.size is not None:
        options += ["--size", "{}x{}".format(*request.size)]
    if request.picture is not None:
        options += ["--from", str(suite.picture(request.picture))]
    if request.strength is not None:
        options += ["--strength", repr(request.strength)]
    return options


# ------------------------------------------------------------------------------------ errors


def _usage_check(case: Usage) -> Check:
    def run(suite: Suite, runtime: Runtime, folder: Path) -> Iterator[str]:
        arguments = [
            part.format(bundle=suite.bundle(case.bundle), pictures=suite.pictures, out=folder)
            for part in case.arguments
        ]
        yield from _not_refused(runtime.program(arguments), case.status, case.says)
        yield from (f"left {path.name} behind" for path in folder.iterdir())

    return Check(
        name=f"usage: {case.name}",
        run=run,
        options=frozenset(part for part in case.arguments if part.startswith("--")),
    )


def _hostile_check(case: Hostile) -> Check:
    def run(suite: Suite, runtime: Runtime, folder: Path) -> Iterator[str]:
        bundle, out = folder / "bundle", folder / "out"
        shutil.copytree(suite.bundle(case.bundle), bundle)
        damage_bundle(bundle, case.damage)
        out.mkdir()
        arguments = [
            part.format(bundle=bundle, pictures=suite.pictures, out=out) for part in case.arguments
        ]
        yield from _not_refused(runtime.program(arguments), case.status, case.says)
        yield from (f"left {path.name} behind" for path in out.iterdir())

    return Check(
        name=f"hostile: {case.name}",
        run=run,
        options=frozenset(part for part in case.arguments if part.startswith("--")),
    )


def _not_refused(outcome: Outcome, status: int, says: Sequence[str]) -> Iterator[str]:
    if outcome.status != status:
        yield f"status {outcome.status}, {status} expected: {outcome.err[-500:]!r}"
    lines = outcome.err.splitlines()
    errors = [line for line in lines if line.startswith("dcae: error: ")]
    if len(errors) != 1 or lines[-1:] != errors:
        yield f"its last line on stderr is not its only error: {outcome.err[-500:]!r}"
        return
    if not errors[0].isprintable() or len(errors[0]) > _LONGEST_MESSAGE:
        yield f"its error is not one short printable line: {errors[0][:500]!r}"
    yield from (
        f"its error does not say {text!r}: {errors[0]!r}" for text in says if text not in errors[0]
    )


def _passes(outcome: Outcome) -> Iterator[str]:
    yield from _failed(outcome)


def _failed(outcome: Outcome) -> Generator[str, None, bool]:
    """Say so where the program failed; the generator's value is whether it did."""
    if outcome.status:
        yield f"status {outcome.status}: {outcome.err[-500:]!r}"
    return outcome.status != 0


def _differs(
    actual: NDArray[np.generic],
    expected: NDArray[np.generic],
    runtime: Runtime,
    tolerance: Tolerance,
) -> Iterator[str]:
    if (actual.shape, actual.dtype) != (expected.shape, expected.dtype):
        yield (
            f"{actual.dtype} {list(actual.shape)}, {expected.dtype} {list(expected.shape)} expected"
        )
        return
    if actual.tobytes() == expected.tobytes():
        return
    found = difference(actual, expected)
    if runtime.bits:
        count = int(np.sum(actual != expected))
        yield f"{count} of {math.prod(actual.shape)} numbers differ: {found}"
    elif not found.within(tolerance):
        yield f"{found}; more than {tolerance.because}"
