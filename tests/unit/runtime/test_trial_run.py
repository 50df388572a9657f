"""A trial run has the axes and inputs of a request of its size."""

import numpy as np
import pytest
from bundle_factory import edit_manifest
from gaussian_data import UVIT
from generation_factory import GRID, fix_sizes, write_generating_bundle

from dcae_export.bundle.reader import Bundle
from dcae_export.errors import UsageError
from dcae_export.runtime import autoencoder, pipeline
from dcae_export.runtime.pipeline import Pipeline
from dcae_export.runtime.session import Session
from dcae_export.runtime.trial_run import trial_axes, trial_inputs


@pytest.fixture
def path(tmp_path):
    return write_generating_bundle(tmp_path / "bundle", UVIT, "ddim:3")


def test_both_halves_of_guidance_are_rows(path):
    manifest = Bundle.open(path).manifest
    wanted = {"height": 3, "width": 5}
    assert trial_axes(manifest, "decoder", size=(6, 10), batch=2) == {"batch": 2, **wanted}
    assert trial_axes(manifest, "transformer", size=(6, 10), batch=2) == {"batch": 4, **wanted}


@pytest.mark.parametrize("guidance", [None, 1.0, 2.5])
def test_the_axes_are_those_that_generating_opens_the_graphs_for(path, monkeypatch, guidance):
    opened = {}

    class Watched(Session):
        def __init__(self, files, **options) -> None:
            opened[files.path.stem] = dict(options["axes"])
            super().__init__(files, **options)

    for module in (pipeline, autoencoder):
        monkeypatch.setattr(module, "Session", Watched)
    Pipeline.open(path).generate([1], size=(4, 6), guidance=guidance)
    manifest = Bundle.open(path).manifest
    assert opened == {
        name: trial_axes(manifest, name, size=(4, 6), batch=1, guidance=guidance)
        for name in ("decoder", "transformer")
    }
    assert opened["transformer"]["batch"] == (1 if guidance == 1 else 2)


def test_a_bundle_that_is_not_guided_by_default_has_one_row(path):
    edit_manifest(path, lambda content: content["samplers"].update(default_guidance=1))
    manifest = Bundle.open(path).manifest
    for guidance, rows in ((None, 1), (1.5, 2)):
        axes = trial_axes(manifest, "transformer", size=None, batch=1, guidance=guidance)
        assert axes["batch"] == rows


def test_without_a_size_it_is_that_of_the_training(path):
    axes = trial_axes(Bundle.open(path).manifest, "decoder", size=None, batch=1)
    assert (axes["height"], axes["width"]) == GRID


@pytest.mark.parametrize("name", ["decoder", "transformer"])
def test_every_graph_runs_on_its_trial_inputs(path, name):
    bundle = Bundle.open(path)
    axes = trial_axes(bundle.manifest, name, size=(4, 6), batch=1)
    session = Session(bundle.check_graph(name))
    (result,) = session.run(trial_inputs(session.graph, axes)).values()
    assert np.isfinite(result).all()


@pytest.mark.parametrize(("size", "batch"), [((5, 6), 1), ((2000, 2), 1), ((2, 2), 1000)])
def test_a_size_or_batch_that_the_graph_does_not_take_is_refused(path, size, batch):
    with pytest.raises(UsageError):
        trial_axes(Bundle.open(path).manifest, "decoder", size=size, batch=batch)


def test_a_graph_of_one_size_takes_no_other(path):
    def edit(content: dict) -> None:
        content.update(golden=[])
        fix_sizes(content["graphs"]["decoder"], rows=1)
        port = content["graphs"]["decoder"]["inputs"][0]
        port["shape"] = [1, 4, 2, 3]
        content["graphs"]["decoder"]["outputs"][0]["shape"] = [1, 3, 4, 6]
        content["graphs"]["decoder"]["ranges"] = {}

    edit_manifest(path, edit)
    manifest = Bundle.open(path).manifest
    assert trial_axes(manifest, "decoder", size=(4, 6), batch=1) == {}
    with pytest.raises(UsageError, match="was exported for one size"):
        trial_axes(manifest, "decoder", size=(8, 6), batch=1)
