"""Both halves of guidance in one call, and what becomes of their outputs."""

from types import SimpleNamespace

import numpy as np
import pytest

from dcae_export.runtime.guidance import GuidedNetwork

CHANNELS = 2


class FakeSession:
    """A transformer whose output tells label and time: channel 0 is the label, channel 1 the time, then their sum."""

    def __init__(self, *, rows: int | str = "batch", variance: bool = False) -> None:
        self.graph = SimpleNamespace(inputs=[SimpleNamespace(shape=(rows, CHANNELS, 1, 1))])
        self.variance = variance
        self.calls: list[dict[str, np.ndarray]] = []

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.calls.append(inputs)
        rows = len(inputs["latent"])
        label = inputs.get("label", np.zeros(rows)).astype(np.float32)
        parts = [label, inputs["timestep"]]
        if self.variance:
            parts += [10 + label, 20 + label]
        return {"output": np.stack(parts, axis=1).astype(np.float32)[:, :, None, None]}


def guided(session: FakeSession, **changes: object) -> GuidedNetwork:
    arguments = {
        "session": session,
        "labels": np.array([3, 5]),
        "null_label": 10,
        "guidance": 1.5,
        "with_variance": False,
    }
    return GuidedNetwork(**(arguments | changes))  # type: ignore[arg-type]


STATE = np.zeros((2, CHANNELS, 1, 1), np.float32)


def test_both_halves_are_one_batch_and_labels_come_first():
    session = FakeSession()
    output = guided(session)(STATE, 7.0)
    (call,) = session.calls
    assert call["label"].tolist() == [3, 5, 10, 10]
    assert call["timestep"].tolist() == [7.0] * 4
    assert output[:, 0, 0, 0].tolist() == [10 + 1.5 * (3 - 10), 10 + 1.5 * (5 - 10)]
    assert output[:, 1, 0, 0].tolist() == [7.0, 7.0]


def test_a_weight_of_zero_is_the_unconditional_prediction_and_one_that_of_the_labels():
    outputs = [
        guided(FakeSession(), guidance=weight)(STATE, 7.0)[:, 0, 0, 0].tolist()
        for weight in (0.0, 1.0)
    ]
    assert outputs == [[10, 10], [3, 5]]


def test_without_a_null_label_the_labels_half_runs_alone():
    session = FakeSession()
    output = guided(session, null_label=None)(STATE, 7.0)
    assert session.calls[0]["label"].tolist() == [3, 5]
    assert output[:, 0, 0, 0].tolist() == [3, 5]


def test_an_unconditional_network_is_given_no_label():
    session = FakeSession()
    assert guided(session, labels=None)(STATE, 7.0).shape == STATE.shape
    assert set(session.calls[0]) == {"latent", "timestep"}


@pytest.mark.parametrize("null_label", [10, None])
def test_a_learned_variance_is_that_of_the_labels_half_and_not_guided(null_label):
    session = FakeSession(variance=True)
    kept = guided(session, with_variance=True, null_label=null_label)(STATE, 7.0)
    assert kept.shape == (2, 2 * CHANNELS, 1, 1)
    assert kept[:, 2:, 0, 0].tolist() == [[13, 23], [15, 25]]
    assert guided(session, null_label=null_label)(STATE, 7.0).shape == STATE.shape


def test_a_graph_of_a_fixed_batch_runs_full():
    session = FakeSession(rows=6)
    output = guided(session)(STATE, 7.0)
    assert session.calls[0]["label"].tolist() == [3, 5, 10, 10, 10, 10]
    assert output.shape == STATE.shape
