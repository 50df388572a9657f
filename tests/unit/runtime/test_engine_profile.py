"""The shapes of an engine: those of the run, or what the user said, within what the graph takes."""

import pytest
from bundle_factory import CHANNELS, write_tiny_bundle

from dcae_export.bundle.reader import Bundle
from dcae_export.errors import UsageError
from dcae_export.runtime.engine_profile import engine_axes, input_profiles
from dcae_export.runtime.provider_options import AxisProfile, InputProfile

AXES = {"batch": 4, "height": 3, "width": 5}


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    path = write_tiny_bundle(tmp_path_factory.mktemp("profile") / "bundle")
    return Bundle.open(path).manifest.graphs["decoder"]


def test_an_engine_is_for_the_size_of_the_run_and_batches_up_to_its_own(graph):
    ranges = engine_axes(graph, profile=(), axes=AXES)
    assert input_profiles(graph, ranges) == (
        InputProfile(
            name="latent",
            least=(1, CHANNELS, 3, 5),
            best=(4, CHANNELS, 3, 5),
            most=(4, CHANNELS, 3, 5),
        ),
    )


def test_an_engine_for_one_shape_has_the_batch_of_the_run_alone(graph):
    (found,) = input_profiles(graph, engine_axes(graph, profile=(), axes=AXES, one_shape=True))
    assert found.least == found.best == found.most == (4, CHANNELS, 3, 5)


def test_a_profile_takes_the_place_of_the_runs_values(graph):
    profile = (AxisProfile(axis="height", least=1, best=4, most=8),)
    ranges = engine_axes(graph, profile=profile, axes=AXES)
    (found,) = input_profiles(graph, ranges)
    assert (found.least, found.best, found.most) == (
        (1, CHANNELS, 1, 5),
        (4, CHANNELS, 4, 5),
        (4, CHANNELS, 8, 5),
    )


def test_a_graph_of_one_size_has_no_profile(graph):
    (port,) = graph.inputs
    fixed = graph.model_copy(
        update={
            "inputs": (port.model_copy(update={"shape": (1, CHANNELS, 2, 2)}),),
            "ranges": {},
        }
    )
    ranges = engine_axes(fixed, profile=(), axes={})
    assert ranges == {}
    assert input_profiles(fixed, ranges) == ()


@pytest.mark.parametrize(
    ("profile", "axes"),
    [
        ((AxisProfile(axis="batch", least=1, best=1, most=9),), AXES),
        ((), {**AXES, "width": 9}),
        ((), {}),
    ],
)
def test_what_the_graph_does_not_take_is_refused(graph, profile, axes):
    with pytest.raises(UsageError):
        engine_axes(graph, profile=profile, axes=axes)
