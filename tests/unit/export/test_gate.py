"""The gate judges the file that was saved."""

from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_factory import PAGE, tiny_manifest, tiny_model
from torch import nn

from dcae_export.bundle.manifest import File
from dcae_export.bundle.reader import GraphFiles
from dcae_export.errors import ExportError, ParityError
from dcae_export.export.gate import Case, judge, reference_case
from dcae_export.parity import FP32, difference

FILES = ("decoder.onnx", "decoder.onnx.data", "golden/latent.npy", "golden/image.npy")


class Shuffle(nn.Module):
    """The tiny bundle's decoder."""

    def __init__(self, weight: np.ndarray) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(weight), requires_grad=False)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        return nn.functional.pixel_shuffle(nn.functional.conv2d(latent, self.weight), 2)


@pytest.fixture
def weight() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((12, 4, 1, 1), dtype=np.float32)


@pytest.fixture
def cases(weight) -> list[Case]:
    random = np.random.default_rng(1)
    shapes = {"picture": (1, 4, 2, 3), "noise": (2, 4, 3, 2)}
    return [
        reference_case(
            Shuffle(weight),
            name,
            {"latent": torch.from_numpy(random.standard_normal(s, np.float32))},
        )
        for name, s in shapes.items()
    ]


def save(folder: Path, weight: np.ndarray) -> GraphFiles:
    manifest = tiny_manifest(dict.fromkeys(FILES, File(sha256="0" * 64, bytes=0)))
    model, data = folder / "decoder.onnx", folder / "decoder.onnx.data"
    model.write_bytes(tiny_model(weight).SerializeToString())
    data.write_bytes(bytes(PAGE) + weight.tobytes())
    return GraphFiles(
        model=model.read_bytes(), path=model, data=(data,), graph=manifest.graphs["decoder"]
    )


def test_a_graph_that_computes_the_same_passes_with_a_record_for_each_case(tmp_path, weight, cases):
    records = judge(save(tmp_path, weight), cases, graph="decoder", tolerance=FP32)
    assert [record.input for record in records] == ["picture [1, 4, 2, 3]", "noise [2, 4, 3, 2]"]
    for record in records:
        assert record.verdict == "passed"
        assert record.relative_l2 <= record.tolerance.relative_l2 == FP32.relative_l2
        assert record.reference == f"PyTorch {torch.__version__} float32"


def test_weights_changed_after_saving_are_refused_and_the_worst_value_is_named(
    tmp_path, weight, cases
):
    files = save(tmp_path, weight)
    damaged = weight.copy()
    damaged[7, 2] += 1.0  # colour 1, row 1, column 1 of each 2x2 block
    files.data[0].write_bytes(bytes(PAGE) + damaged.tobytes())
    found = difference(
        Shuffle(damaged)(torch.from_numpy(cases[0].inputs["latent"])).numpy(), cases[0].expected
    )
    with pytest.raises(ParityError) as caught:
        judge(files, cases, graph="decoder", tolerance=FP32)
    message = str(caught.value)
    assert message.startswith("decoder.onnx: picture [1, 4, 2, 3]: relative L2 ")
    batch, colour, row, column = found.worst
    assert (batch, colour, row % 2, column % 2) == (0, 1, 1, 1)
    assert f" at {list(found.worst)} " in message
    assert f"for {found.expected_at_worst:.6g})" in message
    assert "allowed are relative L2 1e-05 and max abs 0.001 of the range" in message


def test_the_last_case_counts_as_much_as_the_first(tmp_path, weight, cases):
    wrong = Case(name="last", inputs=cases[1].inputs, expected=cases[1].expected + np.float32(0.1))
    with pytest.raises(ParityError, match=r"last \[2, 4, 3, 2\]"):
        judge(save(tmp_path, weight), [*cases, wrong], graph="decoder", tolerance=FP32)


def test_a_graph_whose_shuffle_has_the_other_channel_order_is_refused(tmp_path, weight, cases):
    files = save(tmp_path, weight)
    model = tiny_model(weight)
    model.graph.node[1].attribute[1].s = b"DCR"
    changed = GraphFiles(
        model=model.SerializeToString(), path=files.path, data=files.data, graph=files.graph
    )
    with pytest.raises(ParityError):
        judge(changed, cases, graph="decoder", tolerance=FP32)


def test_a_graph_that_overflows_is_refused(tmp_path, weight, cases):
    files = save(tmp_path, np.full_like(weight, 3e38))
    with pytest.raises(ParityError, match="not finite"):
        judge(files, cases, graph="decoder", tolerance=FP32)


def test_a_reference_that_is_not_finite_stops_the_export(weight):
    module = Shuffle(np.full_like(weight, np.nan))
    with pytest.raises(ExportError, match="PyTorch's own output for picture is not finite"):
        reference_case(module, "picture", {"latent": torch.ones(1, 4, 2, 2)})
