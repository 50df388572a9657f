import errno
import json
import shutil
from pathlib import Path

import pytest
import torch

from dcae_export.errors import BusyError, InputError, ResourceError, WeightsError
from dcae_export.training.engine import checkpoint as checkpoint_module
from dcae_export.training.engine import run_folder as run_folder_module
from dcae_export.training.engine.events import CheckpointUnusable
from dcae_export.training.engine.run_folder import RunFolder


def write(folder: RunFolder, *steps: int) -> None:
    with folder.locked():
        for step in steps:
            arrays = {"network": {"weight": torch.full((4,), float(step))}, "empty": {}}
            folder.write(step=step, arrays=arrays, state={"step": step})


def newest(folder: RunFolder, unusable: list[CheckpointUnusable] | None = None):
    events: list[CheckpointUnusable] = [] if unusable is None else unusable
    found = folder.newest(events.append)
    assert unusable is not None or not events
    return found


def names(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in folder.checkpoints.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_a_checkpoint_is_read_as_it_was_written(folder):
    write(folder, 100)
    found = newest(folder)
    assert found is not None
    assert (found.step, found.state()) == (100, {"step": 100})
    assert torch.equal(found.tensors("network")["weight"], torch.full((4,), 100.0))
    assert found.tensors("empty") == {}


def test_two_are_kept_and_the_pointer_names_the_newest(folder):
    write(folder, 100, 200, 300)
    assert names(folder) == ["LATEST", "step-000200", "step-000300"]
    assert (folder.checkpoints / "LATEST").read_text() == "step-000300\n"


def test_a_run_without_checkpoints_has_no_newest(folder):
    assert newest(folder) is None
    with folder.locked():
        assert newest(folder) is None


def test_no_file_is_a_pickle(folder):
    write(folder, 100)
    kinds = {path.suffix for path in (folder.checkpoints / "step-000100").iterdir()}
    assert kinds == {".safetensors", ".json"}


@pytest.mark.parametrize("name", ["network.safetensors", "state.json", "checkpoint.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_newest_gives_way_to_the_one_before(folder, name, damage):
    write(folder, 100, 200)
    path = folder.checkpoints / "step-000200" / name
    content = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "truncate":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[-5] ^= 1
        path.write_bytes(content)
    events: list[CheckpointUnusable] = []
    found = newest(folder, events)
    assert found is not None
    assert found.step == 100
    (event,) = events
    assert event.path == folder.checkpoints / "step-000200"
    assert name in event.reason


def test_damage_that_is_read_names_the_file_and_its_fault(folder):
    write(folder, 100, 200)
    path = folder.checkpoints / "step-000200" / "network.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    events: list[CheckpointUnusable] = []
    newest(folder, events)
    assert events[0].reason == "network.safetensors has another sha256 than its list says"


def test_where_none_is_whole_the_run_is_not_begun_again_in_silence(folder):
    write(folder, 100, 200)
    for path in folder.checkpoints.glob("step-*"):
        (path / "state.json").unlink()
    with pytest.raises(WeightsError, match="none of its checkpoints is whole"):
        newest(folder, [])


def test_a_newer_format_is_an_error(folder):
    write(folder, 100, 200)
    path = folder.checkpoints / "step-000200" / "checkpoint.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2, "new": []}))
    with pytest.raises(InputError, match=r"format 2 is newer than 1.*update dcae-export"):
        newest(folder)


def test_a_list_that_names_files_elsewhere_is_damaged(folder, tmp_path):
    write(folder, 100, 200)
    path = folder.checkpoints / "step-000200" / "checkpoint.json"
    content = json.loads(path.read_text())
    content["files"]["../../outside"] = content["files"].pop("state.json")
    path.write_text(json.dumps(content))
    events: list[CheckpointUnusable] = []
    found = newest(folder, events)
    assert found is not None
    assert found.step == 100
    assert events[0].reason == "checkpoint.json is no list of a checkpoint's files"


@pytest.mark.parametrize("content", [None, "", "step-000900\n", "../elsewhere\n"])
def test_without_a_pointer_to_one_the_newest_is_taken(folder, content):
    write(folder, 100, 200)
    pointer = folder.checkpoints / "LATEST"
    pointer.unlink() if content is None else pointer.write_text(content)
    found = newest(folder)
    assert found is not None
    assert found.step == 200


def test_a_pointer_that_was_set_back_decides_and_what_is_newer_goes(folder):
    write(folder, 100, 200)
    (folder.checkpoints / "LATEST").write_text("step-000100\n")
    found = newest(folder)
    assert found is not None
    assert found.step == 100
    write(folder, 150)
    assert names(folder) == ["LATEST", "step-000100", "step-000150"]


def test_a_checkpoint_of_the_same_step_is_replaced(folder):
    write(folder, 100, 200)
    (folder.checkpoints / "step-000200" / "state.json").unlink()
    write(folder, 200)
    found = newest(folder)
    assert found is not None
    assert found.step == 200


def test_what_dead_writers_staged_is_removed_at_the_next_start(folder):
    write(folder, 100)
    staged = folder.checkpoints / ".step-000200.0123abcd.partial"
    shutil.copytree(folder.checkpoints / "step-000100", staged)
    (folder.checkpoints / ".dcae-0123456789abcdef.tmp").touch()
    (folder.checkpoints / "notes.txt").touch()
    with folder.locked():
        assert names(folder) == ["LATEST", "notes.txt", "step-000100"]


def test_a_second_writer_is_told_of_the_first(folder):
    with (
        folder.locked(),
        pytest.raises(BusyError, match="another process trains into it"),
        RunFolder(folder.path).locked(),
    ):
        pass


@pytest.mark.parametrize("step", ["write_checkpoint", "sync_folder", "whole_file"])
def test_a_full_disk_leaves_what_was_there(folder, monkeypatch, step):
    write(folder, 100)

    def fail(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_folder_module, step, fail)
    with pytest.raises(ResourceError, match="the disk is full; make room"):
        write(folder, 200)
    monkeypatch.undo()
    found = newest(folder)
    assert found is not None
    assert found.step == 100
    assert not [name for name in names(folder) if name.startswith(".")]


def test_too_little_room_is_known_before_anything_is_written(folder, monkeypatch):
    usage = shutil.disk_usage(folder.path.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=15))
    monkeypatch.setattr(checkpoint_module, "save_file", None)
    with pytest.raises(ResourceError, match=r"needs 0.00 GB of disk, 0.00 GB are free"):
        write(folder, 100)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "run").touch()
    with (
        pytest.raises(InputError, match="run: cannot be made"),
        RunFolder(tmp_path / "run").locked(),
    ):
        pass
