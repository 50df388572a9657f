import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from latent_folders import empty_contents, files_of, numbers_of, shard_of, write_folder

from dcae_export.errors import BusyError, InputError, PictureError, ResourceError
from dcae_export.models.latent_source import LatentSource
from dcae_export.pictures.skipped import Skip, Skipped, SkipReason
from dcae_export.training.latents import writer as module
from dcae_export.training.latents.contents import (
    LatentContents,
    PictureList,
    read_contents,
)
from dcae_export.training.latents.folder import LatentFolder
from dcae_export.training.latents.writer import append, begun, complete

WANTED = empty_contents(6)


def begin(target: Path, wanted: LatentContents = WANTED) -> LatentContents:
    with begun(target, wanted) as contents:
        return contents


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """The first of two files is there."""
    folder = tmp_path / "sets" / "latents"
    with begun(folder, WANTED) as contents:
        append(folder, contents, [shard_of(folder, contents, 0, range(4))])
    return folder


def test_a_new_folder_says_at_once_what_it_will_be(tmp_path: Path):
    folder = tmp_path / "sets" / "latents"
    assert begin(folder) == read_contents(folder) == WANTED


def test_a_folder_goes_on_after_the_files_that_are_there(half: Path):
    contents = begin(half)
    assert (len(contents.shards), contents.count, contents.complete) == (1, 4, False)
    write_folder(half, 6)
    opened = LatentFolder.open(half, verify_hashes=True)
    assert numbers_of(opened.read(range(6))[0]) == list(range(6))


def test_what_a_killed_writer_left_is_removed(half: Path):
    before = files_of(half)
    (half / "latents-00001.safetensors").write_bytes(b"killed before it was listed")
    (half / f".dcae-{'0' * 16}.tmp").write_bytes(b"half")
    begin(half)
    assert files_of(half) == before
    assert not list(half.glob(".*.tmp"))


def source(**changes: object) -> dict[str, object]:
    return {"autoencoder": LatentSource(**(WANTED.autoencoder.model_dump() | changes))}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            source(encoder_sha256="f" * 64),
            f"begun with an encoder of sha256 {'0' * 64}, and this is an",
        ),
        (
            source(scaling_factor=0.25),
            r"begun with scaling factor 0\.5, and this is scaling .* 0\.",
        ),
        ({"size": 128}, "begun with size 64, and this is size 128; go on with what it was begun"),
        ({"seed": 1}, "begun with seed 0, and this is seed 1; .* or choose another --out"),
        ({"classes": None}, "begun with 2 classes, and this is no labels"),
        ({"pictures": PictureList(count=7, sha256="1" * 64)}, "other pictures: 6 then, 7 of other"),
        ({"pictures": PictureList(count=6, sha256="f" * 64)}, "other pictures: 6 then, 6 of other"),
    ],
)
def test_a_folder_that_was_begun_with_something_else_is_refused(
    half: Path, changes: dict[str, object], fault: str
):
    before = files_of(half)
    with pytest.raises(InputError, match=fault):
        begin(half, WANTED.model_copy(update=changes))
    assert files_of(half) == before


def test_the_same_weights_from_another_place_go_on(half: Path):
    contents = begin(half, WANTED.model_copy(update=source(source="there")))
    assert contents.autoencoder.source == "here"


def test_a_folder_without_any_file_is_begun_anew(tmp_path: Path):
    begin(tmp_path / "latents")
    wanted = WANTED.model_copy(update={"size": 128})
    assert begin(tmp_path / "latents", wanted) == wanted


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path):
    (tmp_path / "photo.png").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"holds photo\.png and no latents\.json; choose a new"):
        begin(tmp_path)
    assert (tmp_path / "photo.png").read_bytes() == b"mine"


def test_a_target_that_is_a_file_is_one_line(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(InputError, match="file: cannot be written: File exists; choose another"):
        begin(tmp_path / "file")


def test_a_damaged_file_is_found_before_hours_are_spent(half: Path):
    path = half / "latents-00000.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"latents-00000\.safetensors: damaged"):
        begin(half)


def test_a_second_writer_is_told_at_once(half: Path):
    with begun(half, WANTED), pytest.raises(BusyError, match="another process encodes into it"):
        begin(half)


def test_too_little_room_names_what_is_needed_and_what_is_free(
    half: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2 * 48 - 1))
    with pytest.raises(ResourceError, match=r"that are left need 0\.00 GB of disk, 0\.00 GB are"):
        begin(half)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2 * 48))
    begin(half)


def test_a_folder_without_a_latent_is_never_complete(tmp_path: Path):
    folder = tmp_path / "latents"
    with begun(folder, empty_contents(2)) as contents:
        grown = append(folder, contents, [shard_of(folder, contents, 0, [])])
        with pytest.raises(PictureError, match="no picture could be decoded"):
            complete(folder, grown, Skipped())
    assert not read_contents(folder).complete


def test_what_was_left_out_is_listed_as_a_table(tmp_path: Path):
    skipped = Skipped()
    skipped.add([Skip.of("a/1.png", SkipReason.UNREADABLE, "cut off")])
    folder = tmp_path / "latents"
    with begun(folder, empty_contents(2)) as contents:
        grown = append(folder, contents, [shard_of(folder, contents, 0, [1])])
        complete(folder, grown, skipped)
    lines = (folder / "skipped.csv").read_text().splitlines()
    assert lines == ["name,reason,detail", "a/1.png,unreadable,cut off"]


def test_beyond_the_limit_skips_are_counted_and_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "MAX_LISTED_SKIPS", 3)
    skips = tuple(Skip.of(str(n), SkipReason.UNREADABLE, "cut off") for n in range(2))
    folder = tmp_path / "latents"
    with begun(folder, empty_contents(12)) as contents:
        grown = contents
        for shards in ((0, 1), (2,)):
            files = [
                shard_of(folder, contents, n, range(4 * n, 4 * n + 2)).model_copy(
                    update={"skipped": skips}
                )
                for n in shards
            ]
            grown = append(folder, grown, files)
    assert [len(shard.skipped) for shard in grown.shards] == [2, 1, 0]
    assert (grown.num_done - grown.count, read_contents(folder)) == (6, grown)
