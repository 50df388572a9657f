from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from latent_folders import shown, take, write_folder

from dcae_export.errors import ConfigError
from dcae_export.training.latents.data import LatentData
from dcae_export.training.latents.folder import LatentFolder

COUNT = 13


@pytest.fixture
def folder(tmp_path: Path) -> LatentFolder:
    return LatentFolder.open(write_folder(tmp_path / "latents", COUNT))


def open_data(
    folder: LatentFolder, *, batch_size: int = 3, seed: int = 0, rank: int = 0, world_size: int = 1
) -> LatentData:
    return LatentData.open(
        folder, batch_size=batch_size, seed=seed, rank=rank, world_size=world_size
    )


def test_each_epoch_shows_every_latent_once_in_another_order(folder: LatentFolder):
    data = open_data(folder)
    assert len(data) == COUNT
    numbers = shown(take(data, COUNT))
    epochs = [numbers[start : start + COUNT] for start in range(0, 3 * COUNT, COUNT)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(COUNT))
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_another_seed_gives_another_order(folder: LatentFolder):
    one, again, other = (shown(take(open_data(folder, seed=seed), 4)) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_a_batch_has_the_size_that_was_asked_for(folder: LatentFolder):
    ((batch, position),) = take(open_data(folder), 1)
    assert batch.labels is not None
    assert (batch.latents.dtype, batch.labels.dtype) == (torch.float32, torch.int64)
    assert (batch.latents.shape, batch.labels.shape) == ((3, *folder.shape), (3,))
    assert position == {"sample": 3}


def test_without_classes_a_batch_has_no_labels(tmp_path: Path):
    folder = LatentFolder.open(write_folder(tmp_path / "latents", 5, classes=None))
    ((batch, _),) = take(open_data(folder), 1)
    assert batch.labels is None


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(done=st.integers(0, 12), batch_size=st.integers(1, 15))
def test_resumed_at_any_position_the_latents_go_on_bit_for_bit(
    folder: LatentFolder, done: int, batch_size: int
):
    whole = take(open_data(folder, batch_size=batch_size), done + 3)
    position = whole[done - 1][1] if done else {}
    rest = take(open_data(folder, batch_size=batch_size), 3, position)
    for (batch, after), (expected, expected_after) in zip(rest, whole[done:], strict=True):
        assert torch.equal(batch.latents, expected.latents)
        assert after == expected_after
    assert shown(rest) == shown(whole[done:])


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(world_size=st.integers(1, 4), batch_size=st.integers(1, 4), start=st.integers(0, 40))
def test_processes_share_out_what_one_would_see(
    folder: LatentFolder, world_size: int, batch_size: int, start: int
):
    position = {"sample": start}
    alone = open_data(folder, batch_size=batch_size * world_size)
    ranks = [
        open_data(folder, batch_size=batch_size, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    together = zip(*(take(data, 4, position) for data in ranks), strict=True)
    for (expected, after), parts in zip(take(alone, 4, position), together, strict=True):
        assert torch.equal(torch.cat([batch.latents for batch, _ in parts]), expected.latents)
        assert all(after_part == after for _, after_part in parts)


def test_loading_moves_no_generator_of_torch(folder: LatentFolder):
    before = torch.get_rng_state()
    take(open_data(folder), 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_position_of_other_data_is_refused(folder: LatentFolder):
    with pytest.raises(ConfigError, match="its position names 'imagenet'; resume with the same"):
        take(open_data(folder), 1, {"imagenet": 3})


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"rank": 1}])
def test_an_impossible_share_is_a_config_error(folder: LatentFolder, wrong: dict[str, int]):
    with pytest.raises(ConfigError):
        open_data(folder, **wrong)
