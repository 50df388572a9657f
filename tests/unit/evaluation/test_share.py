"""Items measured by one process and by several, stopped on the way and taken up again."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcae_export.errors import CancelledError
from dcae_export.evaluation.processes import JoinedProcesses, joined_processes
from dcae_export.evaluation.share import Course, measure_items
from dcae_export.evaluation.tally import Measured, Tally

ITEMS = 10
BATCH = 3


def features(numbers: range) -> np.ndarray:
    return np.array([[n, n**0.5] for n in numbers], np.float32)


def work(numbers: range, *, signal_after: int | None = None) -> Iterator[Measured]:
    """Batches of items, one of which sends this process a signal once it was measured."""
    for start in range(0, len(numbers), BATCH):
        batch = numbers[start : start + BATCH]
        if signal_after in batch:
            os.kill(os.getpid(), signal.SIGTERM)
        yield Measured(
            items=len(batch),
            values={"number": [float(n) for n in batch]},
            features={"item": features(batch)},
        )


def course(out: Path | None = None, told: list[int] | None = None, **options: object) -> Course:
    return Course(
        processes=JoinedProcesses(**options),
        out=out,
        restart=False,
        on_progress=[].append if told is None else told.append,
    )


def measured(work=work, **options: object) -> Tally:
    tally = measure_items(work, items=ITEMS, settings={"a": "b"}, course=course(**options))
    assert tally is not None
    return tally


def assert_whole(tally: Tally) -> None:
    assert tally.done == ITEMS
    assert tally.values["number"] == list(range(ITEMS))
    expected = np.cov(features(range(ITEMS)), rowvar=False)
    np.testing.assert_allclose(tally.moments["item"].gaussian().covariance, expected, rtol=1e-6)


@given(st.integers(0, 50), st.integers(1, 9))
def test_the_shares_of_all_processes_are_all_items_once(items, count):
    shares = [JoinedProcesses(rank=rank, count=count).share(items) for rank in range(count)]
    assert [n for share in shares for n in share] == list(range(items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_one_process_measures_all_items_and_tells_its_progress():
    told: list[int] = []
    assert_whole(measured(told=told))
    assert told == [0, 3, 3, 3, 1]


@pytest.mark.parametrize("at", [0, 4, ITEMS - 1])
def test_a_signal_stops_it_after_a_batch_and_it_goes_on_with_the_same_bits(tmp_path, at):
    def interrupted(numbers: range) -> Iterator[Measured]:
        return work(numbers, signal_after=at)

    done = min(ITEMS, BATCH * (at // BATCH + 1))
    with pytest.raises(CancelledError, match=f"stopped after {done} of {ITEMS}; the same command"):
        measured(interrupted, out=tmp_path)
    told: list[int] = []
    resumed = measured(out=tmp_path, told=told)
    assert told[0] == done
    assert_whole(resumed)
    whole = measured().moments["item"]
    assert np.array_equal(resumed.moments["item"].deviations, whole.deviations)


def test_without_a_folder_a_signal_says_what_would_have_helped():
    def interrupted(numbers: range) -> Iterator[Measured]:
        return work(numbers, signal_after=4)

    with pytest.raises(CancelledError, match="stopped after 6 of 10; with --out"):
        measured(interrupted)


def test_what_was_done_is_not_done_again(tmp_path):
    assert_whole(measured(out=tmp_path))

    def never(numbers: range) -> Iterator[Measured]:
        assert not numbers
        return iter(())

    assert_whole(measured(never, out=tmp_path))


def test_processes_keep_files_of_their_own(tmp_path):
    class Alone(JoinedProcesses):
        """One of several, which gathers nothing."""

        def gather(self, value: object) -> list[object]:
            return [value]

    tallies = []
    for rank in range(2):
        alone = Course(
            processes=Alone(rank=rank, count=2),
            out=tmp_path,
            restart=False,
            on_progress=lambda _: None,
        )
        tallies.append(measure_items(work, items=ITEMS, settings={}, course=alone))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "progress-0-of-2.npz",
        "progress-1-of-2.npz",
    ]
    tallies[0].merge(tallies[1])
    assert_whole(tallies[0])


def test_where_no_launcher_is_there_is_one_process(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined_processes() as processes:
        assert processes == JoinedProcesses(rank=0, count=1)
        assert processes.is_main
        assert processes.gather(3) == [3]
