from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcae_export.training.data.positions import EpochOrder, Positions


def taken(positions: Positions, count: int) -> list[list[int]]:
    return [list(numbers) for numbers in islice(positions, count)]


def test_one_process_takes_every_sample_in_order():
    assert taken(Positions(start=5, batch_size=2), 3) == [[5, 6], [7, 8], [9, 10]]


@given(
    start=st.integers(0, 10**12),
    batch_size=st.integers(1, 9),
    world_size=st.integers(1, 5),
    count=st.integers(1, 5),
)
def test_processes_partition_what_one_would_see(
    start: int, batch_size: int, world_size: int, count: int
):
    of_ranks = [
        taken(
            Positions(start=start, batch_size=batch_size, rank=rank, world_size=world_size), count
        )
        for rank in range(world_size)
    ]
    steps = zip(*of_ranks, strict=True)
    together = [number for step in steps for numbers in step for number in numbers]
    one = Positions(start=start, batch_size=batch_size * world_size)
    assert together == [number for numbers in taken(one, count) for number in numbers]


@pytest.mark.parametrize("done", [1, 4])
def test_a_later_start_goes_on_where_the_earlier_stood(done: int):
    whole = Positions(start=0, batch_size=3, rank=1, world_size=2)
    rest = Positions(start=done * whole.stride, batch_size=3, rank=1, world_size=2)
    assert taken(whole, done + 3)[done:] == taken(rest, 3)


def test_each_epoch_shows_every_number_once_in_an_order_of_its_own():
    order = EpochOrder(50, key=(3,))
    first, second = ([order.at(place) for place in range(start, start + 50)] for start in (0, 50))
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second


def test_an_epochs_order_depends_on_nothing_that_was_asked_for_before():
    order = EpochOrder(9, key=(3, 7), stream=(1,))
    late = order.at(9 * 40 + 2)
    order.at(0)
    assert order.at(9 * 40 + 2) == late == np.random.default_rng([3, 7, 40, 1]).permutation(9)[2]
