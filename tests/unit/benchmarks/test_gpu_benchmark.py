"""What the GPU benchmark measures, in which order, and what it writes where nothing can be run."""

import json
from pathlib import Path

import numpy as np
import pytest
from fake_nvidia import FakeMachine, use_machine
from gaussian_data import UVIT
from generation_factory import write_generating_bundle

from benchmarks.artifacts import Artifacts
from benchmarks.gpu import (
    CONTESTANTS,
    CPU,
    HEADLINE_NAMES,
    NAMES,
    PAIRS,
    PARTS,
    REFERENCE,
    STEP_BATCHES,
    STEP_PAIRS,
    Contestant,
    GpuBenchmark,
    GpuCase,
    Pair,
    columns,
    gpu_cases,
)
from benchmarks.gpu_device import DeviceMemory
from benchmarks.process import WorkerError
from benchmarks.report import markdown
from benchmarks.results import Results, read_document
from benchmarks.tasks import gpu as gpu_tasks
from benchmarks.tasks.gpu import MOST_ROWS, difference_from_reference, inputs_of
from benchmarks.tasks.gpu_networks import GRAPH_RECORD, open_onnx, provider_options
from dcae_export.bundle.reader import Bundle
from dcae_export.runtime import engine_key
from dcae_export.runtime.engine_session import EnginePlan
from dcae_export.runtime.provider_options import CpuOptions, CudaOptions, TensorRtOptions

CASES = gpu_cases(PAIRS, PARTS, (512, 1024))
ABSENT = "there is no NVIDIA GPU"


def benchmark(path, **changes: object) -> GpuBenchmark:
    arguments: dict = {
        "artifacts": Artifacts(path / "work"),
        "results": Results.open(path / "gpu.json", "gpu", again=False, device={"gpu": "none"}),
        "provider": "cuda",
        "contestants": CONTESTANTS,
        "absent": ABSENT,
    }
    return GpuBenchmark(**(arguments | changes))


def test_an_autoencoder_is_measured_once_and_every_transformer():
    names = [str(case) for case in CASES]
    assert len(set(names)) == len(names)
    assert {name for name in names if "encode 512" in name} == {
        "f64, encode 512",
        "f32, encode 512",
    }
    assert sum("step 512" in name for name in names) == len(PAIRS)
    assert [name for name in names if "image 512" in name] == [
        "uvit-h on f64, image 512",
        "dit-xl on f32, image 512",
    ]
    sides = [case.side for case in CASES]
    assert sides == sorted(sides)


def test_the_columns_are_those_that_were_promised():
    names = [one.name for one in CONTESTANTS]
    assert len(set(names)) == len(names)
    assert names[0] == REFERENCE.name
    for precision in ("fp32", "fp16"):
        for options in ("", ", NHWC", ", CUDA graph", ", NHWC, CUDA graph"):
            assert f"ORT CUDA {precision}{options}" in names
    assert {"eager fp16", "eager bf16", "compile fp16", "diffusers fp16"} <= set(names)
    assert "ORT TensorRT fp16" in names


def test_on_the_processor_no_column_has_the_name_of_what_it_is_not():
    found = {one.name: one for one in columns(CPU)}
    assert not any("ORT CUDA" in name for name in found)
    assert {name for name, one in found.items() if one.inapplicable is not None} == {
        name for name in found if "NHWC" in name or "CUDA graph" in name
    }
    assert found["ORT CPU fp16"].provider == CPU
    assert found["ORT CPU fp16"].computing_precision == "fp32"
    assert found["eager fp16"].computing_precision == "fp16"
    assert found["ORT TensorRT fp16"].provider == "tensorrt"
    assert all(one.inapplicable is None for one in CONTESTANTS)
    for provider, names in HEADLINE_NAMES.items():
        assert {one.name for one in columns(provider)} >= set(names)
        assert set(NAMES) >= set(names)


def test_the_headline_has_the_published_batches():
    for compressed, baseline, _ in STEP_PAIRS:
        assert (compressed.name, compressed.autoencoder) in STEP_BATCHES
        assert (baseline.name, baseline.autoencoder) in STEP_BATCHES
    assert max(STEP_BATCHES.values()) == MOST_ROWS
    # Four times the tokens of an image, and a quarter of the images.
    assert STEP_BATCHES["dit-xl", "f32"] == 4 * STEP_BATCHES["dit-xl", "sd-f8"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cpu", CpuOptions()),
        ("cuda", CudaOptions()),
        ("tensorrt", TensorRtOptions(precision="fp16")),
    ],
)
def test_columns_are_options_of_a_provider(name, options):
    assert provider_options(name, {}) == options
    flags = {"prefer_nhwc": True, "cuda_graph": True}
    assert provider_options("cuda", flags) == CudaOptions(prefer_nhwc=True, cuda_graph=True)
    with pytest.raises(ValueError, match="the processor has no prefer_nhwc"):
        provider_options("cpu", {"prefer_nhwc": True})


def test_a_step_has_both_halves_of_guidance():
    network = {"part": "step", "side": 128, "downsample": 64, "channels": 4, "classes": 10}
    given = inputs_of(network, images=3)
    assert given["latent"].shape == (6, 4, 2, 2)
    assert given["label"].tolist() == [0, 1, 2, 10, 10, 10]
    assert inputs_of({**network, "part": "decode"}, images=3)["latent"].shape == (3, 4, 2, 2)
    assert inputs_of({**network, "part": "encode"}, images=3)["image"].shape == (3, 3, 128, 128)


def test_what_cannot_be_run_reads_not_run_with_the_reason(tmp_path):
    measured = benchmark(tmp_path)
    measured.measure(CASES[:1])
    measured.measure_loops(PAIRS[:1], [512])
    measured.measure_headline()
    measured.measure_training()
    text = markdown(read_document(tmp_path / "gpu.json"))
    cells = "".join(" not run |" for _ in CONTESTANTS)
    assert f"| f64, encode 512 |{cells}" in text
    assert f"all: not run: {ABSENT}" in text
    assert "| uvit-h on f64 against uvit-h on sd-f8 |  | not run | 17.9 |" in text
    assert "dit-xl on f32 against dit-xl on sd-f8: ORT TensorRT fp16 | not run | 4.8 |" in text
    assert "| gpu | none |" in text


def test_no_cell_is_begun_when_the_time_is_over_and_the_next_run_goes_on(tmp_path, capsys):
    over = benchmark(tmp_path, seconds=0.0)
    over.measure(CASES[:1])
    assert over.is_over
    assert not (tmp_path / "gpu.json").exists()
    first = benchmark(tmp_path, contestants=CONTESTANTS[:1])
    first.results.put("products", "square", {"fp32": 1e12})
    first.results.put(CASES[0].part, f"{CASES[0]} | {REFERENCE.name}", {"latency_seconds": 1})
    first.measure(CASES[:1])
    capsys.readouterr()
    benchmark(tmp_path, contestants=CONTESTANTS[:2]).measure(CASES[:1])
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == ["kept", "kept", "not run"]


class FakeWorker:
    """What runs a task for the benchmark: networks are measured batch by batch, and die where they are told to."""

    def __init__(self, monkeypatch, *, dies_at: int | None = None, gives_reference: bool = True):
        self.dies_at = dies_at
        self.gives_reference = gives_reference
        self.begun_from: list[list[str]] = []
        self.closed = 0
        monkeypatch.setattr(GpuBenchmark, "_call", lambda _, task, **given: self.call())
        monkeypatch.setattr(GpuBenchmark, "_parts", lambda _, task, **given: self.parts(**given))

    def call(self) -> dict[str, object]:
        return {"operations": 1, "fp32": 1e12}

    def parts(self, *, reference, batches, held, **_: object):
        rates = dict(held.get("images_per_second", {}))
        self.begun_from.append(list(rates))
        try:
            for batch in (1, *batches):
                if str(batch) in rates:
                    continue
                if batch == self.dies_at:
                    raise WorkerError("the process ended with -9")
                if self.gives_reference:
                    Path(reference).touch()
                rates[str(batch)] = float(batch)
                yield {
                    "images_per_second": dict(rates),
                    "best_images_per_second": max(rates.values()),
                }
        finally:
            self.closed += 1


def test_what_failed_is_tried_again_by_the_next_call_after_what_was_never_tried(
    tmp_path, monkeypatch, capsys
):
    benchmark(tmp_path, contestants=CONTESTANTS[1:2]).measure(CASES[:1])
    capsys.readouterr()
    FakeWorker(monkeypatch)
    here = benchmark(tmp_path, contestants=CONTESTANTS[:3], absent=None, batches=())
    here.measure(CASES[:1])
    here.retry()
    lines = [line for line in capsys.readouterr().out.splitlines() if "unfinished" not in line]
    # What shares are of is there before any.
    assert lines[0] == "products square: measured"
    assert [line.partition(" | ")[2] for line in lines[1:]] == [
        "eager fp32: measured",
        "eager bf16: measured",
        "eager fp16: measured",
    ]
    here.measure(CASES[:1])
    assert capsys.readouterr().out.count(": kept") == 4


def test_what_has_no_reference_yet_is_not_stored(tmp_path, monkeypatch, capsys):
    FakeWorker(monkeypatch, dies_at=1)
    here = benchmark(tmp_path, contestants=CONTESTANTS[:2], absent=None)
    here.measure(CASES[:1])
    here.retry()
    assert capsys.readouterr().out.count("waits for eager fp32") == 2
    cells = read_document(tmp_path / "gpu.json")[CASES[0].part]
    assert list(cells) == [f"{CASES[0]} | {REFERENCE.name}"]


def cell_of(path: Path, case: GpuCase) -> dict:
    return read_document(path / "gpu.json")[case.part][f"{case} | {REFERENCE.name}"]["cell"]


def test_a_cell_goes_on_after_its_last_batch_where_the_time_was_over(tmp_path, monkeypatch):
    worker = FakeWorker(monkeypatch)
    for call, batches in enumerate((["1"], ["1", "2"], ["1", "2", "4"]), 1):
        here = benchmark(tmp_path, contestants=[REFERENCE], absent=None, batches=(2, 4), seconds=60)
        # It is over when one batch is there.
        begun = len(worker.begun_from)
        monkeypatch.setattr(
            GpuBenchmark, "is_over", property(lambda _, n=begun: len(worker.begun_from) > n)
        )
        here.measure(CASES[:1])
        here.retry()
        cell = cell_of(tmp_path, CASES[0])
        assert list(cell["images_per_second"]) == batches
        assert cell["unfinished"] == "ended before its last batch"
        assert worker.closed == call
    monkeypatch.setattr(GpuBenchmark, "is_over", False)
    here.measure(CASES[:1])
    here.retry()
    assert worker.begun_from == [[], ["1"], ["1", "2"], ["1", "2", "4"]]
    cell = cell_of(tmp_path, CASES[0])
    assert "unfinished" not in cell
    assert cell["share_of_products"] == pytest.approx(4 / 1e12)


def test_a_batch_that_fails_leaves_those_before_it(tmp_path, monkeypatch):
    worker = FakeWorker(monkeypatch, dies_at=4)
    for _ in range(2):
        here = benchmark(tmp_path, contestants=[REFERENCE], absent=None, batches=(2, 4))
        here.measure(CASES[:1])
        here.retry()
        cell = cell_of(tmp_path, CASES[0])
        assert list(cell["images_per_second"]) == ["1", "2"]
        assert cell["unfinished"] == "the process ended with -9"
    assert worker.begun_from == [[], ["1", "2"]]


def test_the_headline_goes_on_with_the_network_that_is_left(tmp_path, monkeypatch):
    def measured(_: GpuBenchmark, case: GpuCase, contestant: Contestant, *, batches, so_far=None):
        measured.cases.append(str(case))
        if len(measured.cases) == 2:
            raise WorkerError("out of time")
        rates = {str(batch): 30.0 for batch in batches}
        return {"images_per_second": rates, "latency_seconds": 1, "peak_bytes_of_batches": 1}

    measured.cases = []
    monkeypatch.setattr(GpuBenchmark, "_network", measured)
    column = [one for one in CONTESTANTS if one.name == "ORT TensorRT fp16"]
    texts = []
    for _ in range(2):
        here = benchmark(tmp_path, contestants=column, absent=None)
        here._reference(CASES[0]).parent.mkdir(parents=True, exist_ok=True)
        for one in STEP_PAIRS[0][:2]:
            case = GpuCase(
                pair=Pair(transformer=one.name, autoencoder=one.autoencoder), part="step", side=512
            )
            here._reference(case).touch()
        here.measure_headline(STEP_PAIRS[:1])
        here.retry()
        texts.append(markdown(read_document(tmp_path / "gpu.json")))
    f64, f8 = "uvit-h on f64, step 512", "uvit-h on sd-f8, step 512"
    assert measured.cases == [f64, f8, f8]
    assert "ORT TensorRT fp16 | not run | 19.1 |" in texts[0]
    assert "unfinished: out of time" in texts[0]
    assert "ORT TensorRT fp16 | 1.0 | 19.1 |" in texts[1]


def test_a_figure_stands_with_its_batch_its_memory_and_its_share(tmp_path):
    measured = benchmark(tmp_path)
    case = GpuCase(pair=Pair(transformer="uvit-h", autoencoder="f64"), part="decode", side=512)
    cell = {
        "latency_seconds": 0.0125,
        "best_images_per_second": 160.0,
        "best_batch": 8,
        "peak_bytes": 2**30,
        "share_of_products": 0.25,
    }
    measured.results.put("decode", f"{case} | {REFERENCE.name}", cell)
    text = markdown(read_document(tmp_path / "gpu.json"))
    assert "| f64, decode 512 | 12.50 ms; 160.00/s at 8; 1.00 GiB; 25% |" in text


def test_memory_that_the_driver_does_not_tell_is_not_a_number(tmp_path, monkeypatch):
    machine = use_machine(monkeypatch, FakeMachine())
    memory = DeviceMemory("cuda")
    machine.free -= 2**20
    assert memory.peak_bytes() == 2**20
    machine.absent.add("libnvidia-ml.so.1")
    # Neither what was free before nor what is now may be missing.
    assert memory.peak_bytes() is None
    later = DeviceMemory("cuda")
    machine.absent.clear()
    assert later.peak_bytes() is None
    measured = benchmark(tmp_path)
    cell = {"latency_seconds": 1, "best_images_per_second": 1, "best_batch": 1, "peak_bytes": None}
    measured.results.put("decode", f"{CASES[1]} | {REFERENCE.name}", cell)
    assert "1.00/s at 1; memory not measured |" in markdown(read_document(tmp_path / "gpu.json"))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_reference_is_finite_and_whole_or_not_there(tmp_path, monkeypatch, wrong):
    reference = tmp_path / "decode.npy"
    with pytest.raises(ValueError, match="not finite"):
        difference_from_reference(np.array([1, wrong], np.float32), reference)

    def end_within(file, array):
        file.write(b"half of it")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", end_within)
        with pytest.raises(KeyboardInterrupt):
            difference_from_reference(np.ones(2, np.float32), reference)
    assert not reference.exists()
    assert difference_from_reference(np.array([3, 4], np.float32), reference) == 0
    assert difference_from_reference(np.array([3, 3], np.float32), reference) == pytest.approx(0.2)
    assert [path.name for path in tmp_path.iterdir()] == ["decode.npy"]


def test_a_transformer_alone_has_an_engine_of_its_own_files(tmp_path, monkeypatch):
    use_machine(monkeypatch, FakeMachine())
    monkeypatch.setattr(engine_key, "built_for_cuda", lambda: "13.0")
    alone = write_generating_bundle(tmp_path / "bundle", UVIT, "ddim:3")
    files = Bundle.open(alone).check_graph("transformer")
    (alone / GRAPH_RECORD).write_text(files.graph.model_dump_json(), encoding="utf-8")
    found = open_onnx(alone, "step", "tensorrt", {})._files
    assert found.digests == files.digests
    options = TensorRtOptions(engine_cache=tmp_path / "cache")
    axes = {"batch": 2, "height": 2, "width": 2}
    key = EnginePlan.of(found, options, axes=axes).key
    found.path.write_bytes(found.model + b"\0")
    changed = open_onnx(alone, "step", "tensorrt", {})._files
    assert EnginePlan.of(changed, options, axes=axes).key != key


class FakeNetwork:
    """Remembers the batches that it was prepared for; the largest ones do not fit."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.prepared: list[int] = []

    def prepare(self, inputs):
        self.prepared.append(len(inputs["latent"]))
        if self.prepared[-1] > self.most:
            raise RuntimeError("CUDA failure 2: out of memory")
        return lambda: None

    def result(self):
        return np.ones(2, np.float32)


@pytest.mark.parametrize(
    ("seconds", "most", "batches", "left"),
    [
        (lambda batch: 1.0, 8, ["1", "2", "4", "8"], [4, 8, 16]),
        # Four take twice as long as two.
        (lambda batch: batch / 2, 8, ["1", "2", "4"], [4]),
    ],
)
def test_batches_grow_while_they_fit_and_are_worth_it_and_go_on_where_they_were(
    tmp_path, monkeypatch, seconds, most, batches, left
):
    opened: list[FakeNetwork] = []

    def open_network(*_: object) -> FakeNetwork:
        opened.append(FakeNetwork(most))
        return opened[-1]

    monkeypatch.setattr(gpu_tasks, "_open", open_network)
    monkeypatch.setattr(
        gpu_tasks, "_seconds", lambda run: [max(1.0, seconds(opened[-1].prepared[-1]))]
    )
    arguments = {
        "contestant": {},
        "network": {"part": "decode", "side": 64, "downsample": 64, "channels": 1},
        "provider": CPU,
        "files": None,
        "batches": [2, 4, 8, 16],
        "reference": str(tmp_path / "reference.npy"),
    }
    parts = list(gpu_tasks.measure_network(**arguments, held={}))
    assert [list(part["images_per_second"]) for part in parts] == [
        batches[: count + 1] for count in range(len(batches))
    ]
    # As it comes back from the file, two batches in.
    held = json.loads(json.dumps(parts[1]))
    rest = list(gpu_tasks.measure_network(**arguments, held=held))
    assert opened[-1].prepared == left
    assert rest[-1]["images_per_second"] == parts[-1]["images_per_second"]
    assert rest[-1]["relative_l2"] == parts[0]["relative_l2"] == 0
    assert rest[-1]["peak_bytes_of_batches"] >= held["peak_bytes_of_batches"]
