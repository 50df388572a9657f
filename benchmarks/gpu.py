"""Networks on a GPU: ONNX Runtime's providers beside PyTorch, and the papers' headline.

Each contestant of each case is a fresh process and a cell of its own, so a run that was ended goes on where it was.
What cannot be run has the reason in place of its figures.
"""

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.artifacts import Artifacts
from benchmarks.denoiser import DIT_F8, DIT_F32, GUIDED_BATCH, UVIT_F8, UVIT_F64, Denoiser
from benchmarks.diffusion_training import PAIRS as TRAINING_PAIRS
from benchmarks.diffusion_training import measure_pair as measure_training_pair
from benchmarks.process import WorkerError, WorkerProcess
from benchmarks.results import Results
from dcae_export.errors import DcaeError

CPU, CUDA = "cpu", "cuda"
# torch.compile's mode with them.
CUDA_GRAPHS = "reduce-overhead"
PARTS = ("encode", "decode", "step", "image")
SEPARATOR = " | "
# In place of a cell's figures, and beside those that there are so far, with the reason.
NOT_RUN, UNFINISHED = "not_run", "unfinished"
BATCHES = (2, 4, 8, 16, 32, 64)
# Each batch is compiled anew.
COMPILED_BATCHES = (8,)
IMAGES_PER_CALL = 4
PRODUCT_SIDE = 8192
# Tokens of a batch of the published throughputs: one image's times their batch (arXiv 2410.10733's own harness).
STEP_BATCHES = {
    ("uvit-h", "f64"): 2048,
    ("uvit-h", "sd-f8"): 128,
    ("dit-xl", "f32"): 1024,
    ("dit-xl", "sd-f8"): 256,
}
STEP_PAIRS = ((UVIT_F64, UVIT_F8, 19.1), (DIT_F32, DIT_F8, 4.8))
HEADLINE_SIDE = 512
TRAINING_TOKENS = 262144


class MissingReferenceError(Exception):
    """What a contestant is held to is not there yet."""


class TimeIsOverError(Exception):
    """The rest of a cell is left to the next call."""


@dataclass(kw_only=True, slots=True)
class SoFar:
    """What has been found of a cell, by an earlier call or by this one."""

    found: dict[str, object]
    keep: Callable[[dict[str, object]], None]

    def grow(self, found: dict[str, object]) -> None:
        """Write what has been found by now to the file.

        Raises:
            TimeIsOverError: The call is to end.
        """
        self.found = found
        self.keep(found)


Measurement = Callable[[SoFar], dict[str, object]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cell:
    """A cell and how it is measured; ``added`` stands beside its figures."""

    section: str
    key: str
    measure: Measurement
    added: dict[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Contestant:
    """A column: what runs a network, in which precision, with which options.

    ``options`` are attributes of the provider's typed options that are switched on; ``mode`` is torch.compile's.
    """

    name: str
    library: str
    precision: str
    provider: str = CUDA
    options: tuple[str, ...] = ()
    mode: str | None = None

    def as_arguments(self) -> dict[str, object]:
        """As a task takes it."""
        return {
            "library": self.library,
            "precision": self.precision,
            "provider": self.provider,
            "options": list(self.options),
            "mode": self.mode,
        }

    @property
    def inapplicable(self) -> str | None:
        """Why there is no such thing on the processor; None where there is."""
        if self.provider == CPU and (self.options or self.mode == CUDA_GRAPHS):
            return "channels last and CUDA graphs are options of CUDA"
        return None

    @property
    def computing_precision(self) -> str:
        """What its products are computed in: ONNX Runtime widens float16 on the processor."""
        widened = self.provider == CPU and self.library == "onnxruntime"
        return "fp32" if widened else self.precision

    @property
    def graph_precision(self) -> str:
        """Of the bundle that it opens: TensorRT's builder chooses float16 itself, PyTorch takes the sampler's table."""
        opened = self.library == "onnxruntime" and self.provider != "tensorrt"
        return self.precision if opened else "fp32"


def _onnx(precision: str) -> Iterator[Contestant]:
    for options in ((), ("prefer_nhwc",), ("cuda_graph",), ("prefer_nhwc", "cuda_graph")):
        named = {"prefer_nhwc": "NHWC", "cuda_graph": "CUDA graph"}
        yield Contestant(
            name=", ".join([f"ORT CUDA {precision}", *(named[one] for one in options)]),
            library="onnxruntime",
            precision=precision,
            options=options,
        )


REFERENCE = Contestant(name="eager fp32", library="torch", precision="fp32")
CONTESTANTS = (
    REFERENCE,
    Contestant(name="eager fp16", library="torch", precision="fp16"),
    Contestant(name="eager bf16", library="torch", precision="bf16"),
    Contestant(name="compile fp16", library="torch", precision="fp16", mode="default"),
    Contestant(
        name="compile fp16, CUDA graph", library="torch", precision="fp16", mode=CUDA_GRAPHS
    ),
    Contestant(name="diffusers fp16", library="diffusers", precision="fp16"),
    *_onnx("fp32"),
    *_onnx("fp16"),
    Contestant(
        name="ORT TensorRT fp16", library="onnxruntime", precision="fp16", provider="tensorrt"
    ),
)


def columns(provider: str) -> tuple[Contestant, ...]:
    """The contestants on a provider: on the processor ONNX Runtime's CUDA columns are those of its CPU provider."""
    if provider != CPU:
        return CONTESTANTS
    return tuple(
        one
        if one.provider != CUDA
        else replace(one, name=one.name.replace("CUDA f", "CPU f"), provider=CPU)
        for one in CONTESTANTS
    )


# Of the tables' columns, those of every provider.
NAMES = tuple(dict.fromkeys(one.name for provider in (CUDA, CPU) for one in columns(provider)))
# Whose steps make the headline.
HEADLINE_NAMES = {
    CUDA: ("compile fp16, CUDA graph", "ORT CUDA fp16, CUDA graph", "ORT TensorRT fp16"),
    CPU: ("compile fp16", "ORT CPU fp16"),
}
# On the processor Accelerate takes fp16 and computes in float32.
TRAINING_PRECISIONS = {CUDA: "fp16", CPU: "fp32"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A transformer on an autoencoder's latents."""

    transformer: str
    autoencoder: str

    def __str__(self) -> str:
        return f"{self.transformer} on {self.autoencoder}"


# Each autoencoder's first pair makes its whole pictures.
PAIRS = (
    Pair(transformer="uvit-h", autoencoder="f64"),
    Pair(transformer="dit-xl", autoencoder="f32"),
    Pair(transformer="dit-xl", autoencoder="f64"),
    Pair(transformer="uvit-h", autoencoder="f32"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuCase:
    """A part of a pair, on square pictures of ``side`` pixels; ``alone`` are transformers of no bundle."""

    pair: Pair
    part: str
    side: int
    alone: bool = False

    def __str__(self) -> str:
        of = self.pair if self.part in ("step", "image") else self.pair.autoencoder
        return f"{of}, {self.part} {self.side}"

    @property
    def network(self) -> dict[str, object]:
        """As a task takes it."""
        return {
            "part": self.part,
            "autoencoder": self.pair.autoencoder,
            "transformer": self.pair.transformer,
            "side": self.side,
        }


def whole_pairs(pairs: Sequence[Pair]) -> list[Pair]:
    """Those that make whole pictures, from a bundle: the first of each autoencoder."""
    first = {pair.autoencoder: pair for pair in reversed(pairs)}
    return [pair for pair in pairs if first[pair.autoencoder] == pair]


def gpu_cases(pairs: Sequence[Pair], parts: Sequence[str], sizes: Sequence[int]) -> list[GpuCase]:
    """What is measured, the smaller pictures first; an autoencoder once, and as a whole picture with one transformer."""
    cases: dict[str, GpuCase] = {}
    whole = whole_pairs(pairs)
    for side in sizes:
        for pair in pairs:
            for part in parts:
                if part == "step" or pair in whole:
                    case = GpuCase(pair=pair, part=part, side=side, alone=pair not in whole)
                    cases.setdefault(str(case), case)
    return list(cases.values())


@dataclass(frozen=True, kw_only=True)
class GpuBenchmark:
    """Where cells come from and go to.

    What could not be run in an earlier call is tried again by ``retry``. ``seconds`` is how long new cells are begun; ``batches`` and ``runs`` are those of a measurement. ``absent`` says
    why nothing can be run here at all. ``least_side`` is that of the bundles whose encoders and decoders run at all sizes.
    """

    artifacts: Artifacts
    results: Results
    provider: str
    contestants: Sequence[Contestant]
    absent: str | None = None
    seconds: float | None = None
    batches: Sequence[int] = BATCHES
    runs: int = 3
    product_side: int = PRODUCT_SIDE
    least_side: int = HEADLINE_SIDE
    begun: float = field(default_factory=time.monotonic, init=False)
    failed: dict[str, WorkerError] = field(default_factory=dict, init=False)
    described: dict[str, dict[str, object]] = field(default_factory=dict, init=False)
    later: list[_Cell] = field(default_factory=list, init=False)

    def measure(self, cases: Sequence[GpuCase]) -> None:
        """Every contestant of every case, the peak of matrix products before them."""
        self._cell(
            "products",
            "square",
            lambda _: self._call(
                "measure products", provider=self.provider, side=self.product_side
            ),
            is_basis=True,
        )
        for case in cases:
            for contestant in self.contestants:
                key = SEPARATOR.join((str(case), contestant.name))
                self._cell(
                    case.part,
                    key,
                    lambda so_far, case=case, one=contestant: self._measured(case, one, so_far),
                )

    def measure_loops(self, pairs: Sequence[Pair], sizes: Sequence[int]) -> None:
        """Sampling with the state on the device beside sampling with the state copied."""
        for side in sizes:
            for pair in whole_pairs(pairs):
                self._cell(
                    "loops",
                    f"{pair}, {side}",
                    lambda _, pair=pair, side=side: self._call(
                        "measure gpu loops",
                        provider=self.provider,
                        files=str(self._bundle(pair, side, "fp32")),
                        side=side,
                        runs=self.runs,
                    ),
                )

    def measure_headline(
        self, pairs: Sequence[tuple[Denoiser, Denoiser, float]] = STEP_PAIRS
    ) -> None:
        """How many times the images a second of a compressed latent's steps are, in the published batches."""
        for compressed, baseline, published in pairs:
            for contestant in self.contestants:
                if contestant.name not in HEADLINE_NAMES[self.provider]:
                    continue
                key = SEPARATOR.join((f"{compressed} against {baseline}", contestant.name))
                self._cell(
                    "headline",
                    key,
                    lambda so_far, pair=(compressed, baseline), one=contestant: self._speed_up(
                        pair, one, so_far
                    ),
                    published=published,
                )

    def measure_training(
        self,
        pairs: Sequence[tuple[Denoiser, Denoiser, float]] = TRAINING_PAIRS,
        *,
        tokens: int = TRAINING_TOKENS,
    ) -> None:
        """The same of training, in batches of ``tokens`` tokens."""
        for compressed, baseline, published in pairs:
            self._cell(
                "training",
                f"{compressed} against {baseline}",
                lambda _, pair=(compressed, baseline): measure_training_pair(
                    *pair,
                    tokens=tokens,
                    rounds=self.runs,
                    precision=TRAINING_PRECISIONS[self.provider],
                ),
                published=published,
            )

    @property
    def _weights(self) -> dict[str, object]:
        return {"weights": str(self.artifacts.folder / "gpu" / "weights")}

    @property
    def is_over(self) -> bool:
        """Whether no new cell is begun."""
        return self.seconds is not None and time.monotonic() - self.begun > self.seconds

    def retry(self) -> None:
        """What failed in an earlier call, or had no reference in this one; after all that was never tried."""
        later = self.later.copy()
        self.later.clear()
        for cell in later:
            if not self.is_over:
                self._run_cell(cell)

    def _cell(
        self,
        section: str,
        key: str,
        measure: Measurement,
        *,
        published: float | None = None,
        is_basis: bool = False,
    ) -> None:
        """Measure what is not held; ``is_basis`` is what others build on, which is tried again at once."""
        cell = _Cell(
            section=section,
            key=key,
            measure=measure,
            added={} if published is None else {"published_on_h100": published},
        )
        was_tried = not {NOT_RUN, UNFINISHED}.isdisjoint(self.results.held(section, key))
        if was_tried and not is_basis:
            self.later.append(cell)
        elif not self.is_over and (was_tried or self.results.wants(section, key)):
            self._run_cell(cell)

    def _run_cell(self, cell: "_Cell") -> None:
        held = self.results.held(cell.section, cell.key)
        so_far = SoFar(
            found={
                name: value
                for name, value in held.items()
                if UNFINISHED in held and name != UNFINISHED and name not in cell.added
            },
            keep=lambda found: self._keep(cell, found),
        )
        found: dict[str, object] = {NOT_RUN: self.absent}
        try:
            if self.absent is None:
                found = cell.measure(so_far)
        except MissingReferenceError as error:
            # No finding about the contestant: the next call is to try it.
            print(f"{cell.section} {cell.key}: {error}", flush=True)
            self.later.append(cell)
            return
        except TimeIsOverError:
            return
        except (WorkerError, DcaeError) as error:
            found = {NOT_RUN: str(error)}
            if so_far.found:
                found = {**so_far.found, UNFINISHED: str(error)}
        self.results.put(cell.section, cell.key, {**found, **cell.added})

    def _keep(self, cell: "_Cell", found: dict[str, object]) -> None:
        state = {UNFINISHED: "ended before its last batch"}
        self.results.put(cell.section, cell.key, {**found, **state, **cell.added})
        if self.is_over:
            raise TimeIsOverError

    def _measured(self, case: GpuCase, contestant: Contestant, so_far: SoFar) -> dict[str, object]:
        if contestant.library == "diffusers" and case.part not in ("encode", "decode"):
            return {NOT_RUN: "diffusers has the autoencoder only"}
        if contestant.inapplicable is not None:
            return {NOT_RUN: contestant.inapplicable}
        given = contestant.as_arguments()
        if case.part == "image":
            return self._call(
                "measure gpu image",
                contestant=given,
                network={**case.network, **self._weights},
                provider=self.provider,
                files=str(self._bundle(case.pair, case.side, contestant.graph_precision)),
                images=IMAGES_PER_CALL,
                runs=self.runs,
            )
        if contestant.name != REFERENCE.name and not self._reference(case).exists():
            raise MissingReferenceError(f"waits for {REFERENCE.name}, which it is held to")
        network = self._described(case)
        cell = self._network(case, contestant, batches=self._batches(contestant), so_far=so_far)
        return {
            **cell,
            "operations": network["operations"],
            **self._share(cell, network, contestant),
        }

    def _network(
        self,
        case: GpuCase,
        contestant: Contestant,
        *,
        batches: Sequence[int],
        so_far: SoFar | None = None,
    ) -> dict[str, object]:
        reference = self._reference(case)
        reference.parent.mkdir(parents=True, exist_ok=True)
        files = None
        if contestant.library == "onnxruntime":
            # Encoders and decoders take any size.
            side = case.side if case.part == "step" else self.least_side
            precision = contestant.graph_precision
            files = str(self._bundle(case.pair, side, precision, alone=case.alone))
        cell = {} if so_far is None else so_far.found
        parts = self._parts(
            "measure gpu network",
            contestant=contestant.as_arguments(),
            network=self._described(case),
            provider=self.provider,
            files=files,
            batches=list(batches),
            reference=str(reference),
            held=cell,
        )
        with contextlib.closing(parts):
            for cell in parts:
                if so_far is not None:
                    so_far.grow(cell)
        return cell

    def _reference(self, case: GpuCase) -> Path:
        """What PyTorch in float32 gives."""
        return self.artifacts.folder / "gpu" / "references" / f"{case}.npy"

    def _share(
        self, cell: dict[str, object], network: dict[str, object], contestant: Contestant
    ) -> dict[str, object]:
        products = self.results.document["products"]["square"]["cell"]
        if not isinstance(products, dict) or contestant.computing_precision not in products:
            return {}
        rate = float(str(cell["best_images_per_second"])) * int(str(network["operations"]))
        return {"share_of_products": rate / float(str(products[contestant.computing_precision]))}

    def _batches(self, contestant: Contestant) -> Sequence[int]:
        return COMPILED_BATCHES if contestant.mode is not None else self.batches

    def _speed_up(
        self, pair: tuple[Denoiser, Denoiser], contestant: Contestant, so_far: SoFar
    ) -> dict[str, object]:
        """Steps of both at their published batches: images a second of the one by the other's."""
        if contestant.inapplicable is not None:
            return {NOT_RUN: contestant.inapplicable}
        held = so_far.found.get("steps", {})
        assert isinstance(held, dict)
        steps: dict[str, dict[str, object]] = dict(held)
        for one in pair:
            if str(one) in steps:
                continue
            own = Pair(transformer=one.name, autoencoder=one.autoencoder)
            # A bundle's transformer does not take as many rows.
            case = GpuCase(pair=own, part="step", side=HEADLINE_SIDE, alone=True)
            # Both halves of an image are rows of the batch.
            batch = STEP_BATCHES.get((one.name, one.autoencoder), GUIDED_BATCH) // GUIDED_BATCH
            if not self._reference(case).exists():
                self._network(case, REFERENCE, batches=[])
            cell = self._network(case, contestant, batches=[batch])
            measured = cell["images_per_second"]
            assert isinstance(measured, dict)
            if str(batch) not in measured:
                raise WorkerError(f"{one}: a batch of {GUIDED_BATCH * batch} rows does not fit")
            steps[str(one)] = {
                "rows": GUIDED_BATCH * batch,
                "images_per_second": float(measured[str(batch)]) / one.evaluations,
                "latency_seconds": cell["latency_seconds"],
                "peak_bytes": cell["peak_bytes_of_batches"],
            }
            so_far.grow({"steps": dict(steps)})
        rates = [float(str(steps[str(one)]["images_per_second"])) for one in pair]
        return {"speed_up": rates[0] / rates[1], "steps": steps}

    def _described(self, case: GpuCase) -> dict[str, object]:
        key = str(case)
        if key not in self.described:
            network = {**case.network, **self._weights}
            found = self._call("describe gpu network", network=network)
            self.described[key] = {**network, **found}
        return self.described[key]

    def _bundle(self, pair: Pair, side: int, precision: str, *, alone: bool = False) -> Path:
        key = f"{pair}, {side}, {precision}, {alone}"
        # What could not be exported for one column cannot be for the next.
        if key in self.failed:
            raise self.failed[key]
        try:
            return self.artifacts.on_device(
                pair.autoencoder, pair.transformer, side, precision, alone=alone
            )
        except WorkerError as error:
            self.failed[key] = WorkerError(f"export of {pair} in {precision}: {error}")
            raise self.failed[key] from error

    def _call(self, task: str, **arguments: object) -> dict[str, object]:
        with self._worker() as worker:
            return worker.call(task, **arguments)

    def _parts(self, task: str, **arguments: object) -> Generator[dict[str, object]]:
        with self._worker() as worker:
            yield from worker.parts(task, **arguments)

    def _worker(self) -> WorkerProcess:
        cache = {"TORCHINDUCTOR_CACHE_DIR": str(self.artifacts.folder / "inductor")}
        return WorkerProcess(environment=cache)
