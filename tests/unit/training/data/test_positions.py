from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcae_export.training.data.positions import Positions


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
