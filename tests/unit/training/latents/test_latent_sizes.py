from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_diffusion_training import CLASSES, SOURCE, write_latents

from dcae_export.errors import ConfigError, InputError
from dcae_export.training.data.loading import Loading
from dcae_export.training.latents.batch import LatentBatch
from dcae_export.training.latents.data import LatentData
from dcae_export.training.latents.folder import LatentFolder
from dcae_export.training.latents.sizes import LatentSizes, equal_tokens, open_sizes

SIDES, COUNTS = (4, 8, 2), (12, 7, 30)
BATCH, SIZES = 6, (6, 1, 24)  # 96 positions in a batch, 64 where another latent would be too many
NAMES = ("4x4", "8x8", "2x2")
FIXED_FOLDERS = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    batch: LatentBatch
    position: dict[str, int]


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [
        write_latents(tmp_path / str(side), side=side, count=count)
        for side, count in zip(SIDES, COUNTS, strict=True)
    ]


@pytest.fixture
def folders(paths: list[Path]) -> tuple[LatentFolder, ...]:
    return open_sizes(paths)


def take(
    data: LatentSizes | LatentData, count: int, position: dict[str, int] | None = None
) -> list[Taken]:
    taken = islice(data.batches(position or {}), count)
    return [Taken(batch=batch, position=after) for batch, after in taken]


def equal(one: LatentBatch, other: LatentBatch) -> bool:
    assert one.labels is not None
    assert other.labels is not None
    return torch.equal(one.latents, other.latents) and torch.equal(one.labels, other.labels)


def test_a_batch_has_as_many_latents_as_have_the_tokens_of_the_first_folders(folders):
    assert equal_tokens(folders, BATCH) == SIZES
    assert equal_tokens(folders, 1) == (1, 1, 4)
    assert equal_tokens(folders[:1], BATCH) == (BATCH,)


def test_folders_are_taken_in_turn_each_in_an_order_of_its_own(folders):
    found = take(LatentSizes.open(folders, batch_size=BATCH, seed=3), 9)
    shapes = [tuple(one.batch.latents.shape) for one in found[:4]]
    assert shapes == [(6, 4, 4, 4), (1, 4, 8, 8), (24, 4, 2, 2), (6, 4, 4, 4)]
    for number, folder in enumerate(folders):
        loading = Loading(batch_size=SIZES[number])
        alone = LatentData(folder, loading=loading, seed=3, stream=(number,))
        own = take(alone, 3)
        assert all(
            equal(one.batch, two.batch) for one, two in zip(found[number::3], own, strict=True)
        )


def test_orders_of_one_seed_differ_between_folders(tmp_path):
    pair = [write_latents(tmp_path / str(side), side=side, count=48) for side in (4, 8)]
    found = take(LatentSizes.open(open_sizes(pair), batch_size=192, seed=0), 2)
    assert len(found[0].batch) == 4 * len(found[1].batch) == 192
    assert not torch.equal(found[0].batch.labels[:48], found[1].batch.labels)


def test_the_first_folders_order_is_the_one_that_it_has_alone(folders):
    together = take(LatentSizes.open(folders, batch_size=BATCH, seed=5), 1)
    alone = take(LatentData.open(folders[0], batch_size=BATCH, seed=5), 1)
    assert equal(together[0].batch, alone[0].batch)


def test_the_position_names_each_folders_samples(folders):
    found = take(LatentSizes.open(folders, batch_size=BATCH, seed=0), 5)
    assert [list(one.position.values()) for one in found] == [
        [1, 6, 0, 0],
        [2, 6, 1, 0],
        [3, 6, 1, 24],
        [4, 12, 1, 24],
        [5, 12, 2, 24],
    ]
    assert list(found[0].position) == ["batch", *NAMES]


@FIXED_FOLDERS
@given(done=st.integers(0, 10), batch_size=st.integers(1, 9))
def test_resumed_at_any_position_the_sizes_go_on_bit_for_bit(folders, done, batch_size):
    data = LatentSizes.open(folders, batch_size=batch_size, seed=1)
    whole = take(data, done + 4)
    rest = take(data, 4, whole[done - 1].position if done else {})
    for found, expected in zip(rest, whole[done:], strict=True):
        assert equal(found.batch, expected.batch)
        assert found.position == expected.position


@FIXED_FOLDERS
@given(world_size=st.integers(2, 4), done=st.integers(0, 4))
def test_processes_take_the_same_folder_and_share_out_its_samples(folders, world_size, done):
    ranks = [
        LatentSizes.open(folders, batch_size=4, seed=0, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    position = take(ranks[0], done)[-1].position if done else {}
    parts = [take(data, 1, position)[0] for data in ranks]
    number = done % len(folders)
    assert all(part.position == parts[0].position for part in parts)
    loading = Loading(batch_size=world_size * equal_tokens(folders, 4)[number])
    alone = LatentData(folders[number], loading=loading, seed=0, stream=(number,))
    (expected,) = take(alone, 1, {"sample": position.get(NAMES[number], 0)})
    assert torch.equal(torch.cat([part.batch.latents for part in parts]), expected.batch.latents)


def test_a_position_of_other_sizes_is_refused(folders):
    data = LatentSizes.open(folders, batch_size=BATCH, seed=0)
    for position in ({"sample": 3}, {"batch": 1, "16x16": 2}):
        with pytest.raises(ConfigError, match=r"its position names '(sample|16x16)'; resume with"):
            take(data, 1, position)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"classes": (*CLASSES[:2], "square")}, "classes"),
        ({"classes": None}, "classes"),
        ({"source": SOURCE.model_copy(update={"encoder_sha256": "b" * 64})}, "autoencoder"),
        ({"source": SOURCE.model_copy(update={"scaling_factor": 0.25})}, "autoencoder"),
    ],
)
def test_folders_that_do_not_go_together_are_refused_in_one_line(tmp_path, paths, changes, what):
    other = write_latents(tmp_path / "other", side=16, **changes)
    with pytest.raises(ConfigError) as raised:
        open_sizes([*paths, other])
    message = str(raised.value)
    assert message.startswith(f"{other}: latents of other {what} than {paths[0]}; make both")
    assert "\n" not in message


def test_the_same_autoencoder_may_have_been_named_by_another_path(tmp_path, paths):
    source = SOURCE.model_copy(update={"source": "elsewhere"})
    other = write_latents(tmp_path / "other", side=16, source=source)
    assert len(open_sizes([*paths, other])) == len(paths) + 1


def test_two_folders_of_one_size_are_refused(tmp_path, paths):
    again = write_latents(tmp_path / "again", side=8)
    with pytest.raises(ConfigError, match=r"again: latents of 8x8, as those of .*8; one folder of"):
        open_sizes([*paths, again])


def test_a_folder_that_is_none_is_an_input_error(tmp_path, paths):
    with pytest.raises(InputError, match=r"holds no latents\.json"):
        open_sizes([*paths, tmp_path])
