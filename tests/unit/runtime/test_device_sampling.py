"""Sampling with the state on the session's device: on the processor it has the bits of the loop in NumPy."""

import numpy as np
import onnx
import pytest
from bundle_factory import CHANNELS, edit_manifest
from gaussian_data import DIT, SIT, UVIT
from generation_factory import GRID, NUM_CLASSES, fix_sizes, write_generating_bundle

from dcae_export.bundle.reader import Bundle
from dcae_export.errors import CancelledError, ParityError
from dcae_export.parity import FP32, difference
from dcae_export.runtime.device_sampling import sample_on_device
from dcae_export.runtime.guidance import GuidedNetwork
from dcae_export.runtime.session import Session
from dcae_export.runtime.update_graph import UpdateForm, update_graph
from dcae_export.sampling.noise import latent_noise
from dcae_export.sampling.solvers import make_table
from dcae_export.sampling.table import Row, Table, sample

SHAPE = (CHANNELS, *GRID)
WITHOUT_VARIANCES = [
    (UVIT, "ddim:3"),
    (UVIT, "dpmpp-2m:5"),
    (UVIT, "dpmpp-singlestep:7"),
    (SIT, "rk4:8"),
    (SIT, "dopri5:12"),
]


def noise(stream: int, images: int = 2) -> np.ndarray:
    return np.stack([latent_noise(i, stream=stream, shape=SHAPE) for i in range(images)])


def network(folder, *, guided: bool = True, **changes: object) -> GuidedNetwork:
    arguments: dict = {
        "session": Session(Bundle.open(folder).check_graph("transformer")),
        "labels": np.array([3, 1]),
        "null_label": NUM_CLASSES if guided else None,
        "guidance": 1.5,
        "with_variance": False,
    }
    return GuidedNetwork(**(arguments | changes))


@pytest.mark.parametrize(("diffusion", "sampler"), WITHOUT_VARIANCES)
@pytest.mark.parametrize("guided", [True, False])
def test_a_walk_on_the_device_has_the_bits_of_one_in_numpy(tmp_path, diffusion, sampler, guided):
    folder = write_generating_bundle(tmp_path / "bundle", diffusion, sampler)
    table = make_table(sampler, diffusion)
    transformer = network(folder, guided=guided)
    expected = sample(table, network=transformer, noise=noise)
    assert np.array_equal(sample_on_device(table, network=transformer, noise=noise), expected)


def test_variances_agree_but_for_the_exponential(tmp_path):
    folder = write_generating_bundle(tmp_path / "bundle", DIT, "ddpm:6")
    table = make_table("ddpm:6", DIT)
    transformer = network(folder, with_variance=True)
    expected = sample(table, network=transformer, noise=noise)
    found = difference(sample_on_device(table, network=transformer, noise=noise), expected)
    assert found.within(FP32)


def test_variances_that_a_table_does_not_use_are_left_out(tmp_path):
    folder = write_generating_bundle(tmp_path / "bundle", DIT, "ddim:3")
    table = make_table("ddim:3", DIT)
    transformer = network(folder)
    expected = sample(table, network=transformer, noise=noise)
    assert np.array_equal(sample_on_device(table, network=transformer, noise=noise), expected)


def test_a_model_without_labels_and_with_features_of_the_time(tmp_path):
    folder = write_generating_bundle(
        tmp_path / "bundle", UVIT, "ddim:3", num_classes=None, features=True
    )
    table = make_table("ddim:3", UVIT)
    features = Bundle.open(folder).time_features("ddim:3")
    assert features is not None
    times = {row.t: one for row, one in zip(table.rows, features, strict=True)}
    transformer = network(folder, labels=None, null_label=None, time_features=times)
    expected = sample(table, network=transformer, noise=noise)
    assert np.array_equal(sample_on_device(table, network=transformer, noise=noise), expected)


def test_a_graph_of_a_fixed_batch_runs_full(tmp_path):
    folder = write_generating_bundle(tmp_path / "bundle", UVIT, "ddim:3")
    table = make_table("ddim:3", UVIT)
    expected = sample(table, network=network(folder), noise=noise)

    def edit(content: dict) -> None:
        content.update(golden=[])
        fix_sizes(content["graphs"]["transformer"], rows=7)

    edit_manifest(folder, edit)
    found = sample_on_device(table, network=network(folder), noise=noise)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("noise_scale", [None, 0.5])
def test_a_run_that_begins_late_stands_in_for_the_history_that_it_lacks(tmp_path, noise_scale):
    first = Row(t=900, m=(1, 0.5), x=(0.5, 0.25), base="x")
    late = Row(
        t=500,
        m=(1, -0.5),
        x=(0.5, 0.25, 0.125),
        base=(0.5, 0.25, 1),
        s=noise_scale,
        start=(0.8, 0.6),
    )
    last = Row(t=100, m=(0.25, 1), x=(0.5, 1, 0.25, 0.125))
    table = Table(init=1, rows=(first, late, last))
    folder = write_generating_bundle(tmp_path / "bundle", UVIT, "ddim:3")
    latent = noise(9)
    given = {"network": network(folder), "noise": noise, "init_latent": latent, "first_row": 1}
    assert np.array_equal(sample_on_device(table, **given), sample(table, **given))


def test_a_state_that_is_not_finite_ends_the_run(tmp_path):
    table = Table(init=1, rows=(Row(t=1, m=(3e38, 3e38), x=(0, 3e38)), Row(t=0, m=(1, 0), x=(1,))))
    folder = write_generating_bundle(tmp_path / "bundle", UVIT, "ddim:3")
    with pytest.raises(ParityError, match="row 0 of the sampler"):
        sample_on_device(table, network=network(folder), noise=noise)


def test_a_run_can_be_cancelled_after_any_row(tmp_path):
    folder = write_generating_bundle(tmp_path / "bundle", UVIT, "ddim:3")
    steps: list[tuple[int, int]] = []

    def stop(done: int, count: int) -> bool:
        steps.append((done, count))
        return done < 2

    with pytest.raises(CancelledError, match="2 of 3"):
        sample_on_device(
            make_table("ddim:3", UVIT), network=network(folder), noise=noise, on_step=stop
        )
    assert steps == [(1, 3), (2, 3)]


@pytest.mark.parametrize("noise_kind", [None, "s", "v"])
@pytest.mark.parametrize("guided", [True, False])
def test_an_update_is_a_valid_graph_of_few_nodes(noise_kind, guided):
    form = UpdateForm(
        reads=(0, 1, 1), x_terms=3, base_terms=1, noise=noise_kind, guided=guided, halves=True
    )
    model = onnx.load_from_string(update_graph(form))
    onnx.checker.check_model(model, full_check=True)
    assert len(model.graph.node) < 40
