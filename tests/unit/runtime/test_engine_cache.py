"""An engine is used for its own key only, unchanged, from a folder that only this user writes."""

import dataclasses
import json
import os
import stat
import threading
from pathlib import Path

import pytest
from bundle_factory import write_tiny_bundle
from fake_nvidia import FakeMachine, use_machine

from dcae_export.bundle.reader import Bundle
from dcae_export.errors import BusyError, InputError, ProviderError, RefusedError
from dcae_export.runtime import engine_key
from dcae_export.runtime.engine_cache import KEY_NAME, EngineCache
from dcae_export.runtime.engine_key import EngineKey, Platform
from dcae_export.runtime.provider_options import InputProfile, TensorRtOptions

PLATFORM = Platform(
    gpu="NVIDIA H200",
    compute_capability="9.0",
    gpu_memory=141 * 2**30,
    driver="580.95.05",
    cuda="13.0",
    tensorrt="10.14.1",
    onnxruntime="1.31.1",
)
PROFILE = (InputProfile(name="latent", least=(1, 4, 2, 2), best=(1, 4, 2, 2), most=(1, 4, 2, 2)),)
KEY = EngineKey(
    model_id="ab" * 32,
    graph="decoder.onnx",
    digests=("cd" * 32,),
    has_verified_digests=True,
    platform=PLATFORM,
    precision="fp16",
    workspace=None,
    builder_level=3,
    profile=PROFILE,
)
OTHER_PROFILE = (dataclasses.replace(PROFILE[0], most=(2, 4, 2, 2)),)
OTHERS = {
    "model": {"model_id": "ac" * 32},
    "graph": {"graph": "encoder.onnx"},
    "weights": {"digests": ("ce" * 32,)},
    "unverified": {"has_verified_digests": False},
    "precision": {"precision": "bf16"},
    "workspace": {"workspace": 1},
    "builder level": {"builder_level": 4},
    "profile": {"profile": OTHER_PROFILE},
    **{
        name: {"platform": dataclasses.replace(PLATFORM, **{name: value})}
        for name, value in {
            "gpu": "NVIDIA H100",
            "compute_capability": "10.0",
            "gpu_memory": 80 * 2**30,
            "driver": "580.95.06",
            "cuda": "13.1",
            "tensorrt": "10.14.2",
            "onnxruntime": "1.31.2",
        }.items()
    },
}


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache.open(tmp_path / "cache")


def build(cache: EngineCache, key: EngineKey = KEY, content: bytes = b"engine") -> Path:
    with cache.building(wait=False), cache.new_entry(key) as folder:
        (folder / "a.engine").write_bytes(content)
    found = cache.find(key)
    assert found is not None
    return found


def test_what_was_built_is_found(cache):
    folder = build(cache)
    assert (folder / "a.engine").read_bytes() == b"engine"
    assert json.loads((folder / KEY_NAME).read_text())["key"]["platform"]["driver"] == "580.95.05"


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_an_engine_is_never_found_for_another_key(cache, change):
    build(cache)
    assert cache.find(dataclasses.replace(KEY, **change)) is None


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_an_engine_that_was_moved_to_the_place_of_another_key_is_not_found(cache, change):
    other = dataclasses.replace(KEY, **change)
    build(cache).rename(cache.root / other.digest())
    assert cache.find(other) is None


def damage_engine(folder: Path) -> None:
    (folder / "a.engine").write_bytes(b"Engine")


def link_engine(folder: Path) -> None:
    target = folder.parent / "elsewhere"
    (folder / "a.engine").rename(target)
    (folder / "a.engine").symlink_to(target)


def link_entry(folder: Path) -> None:
    target = folder.parent / "elsewhere"
    folder.rename(target)
    folder.symlink_to(target)


def edit_key(folder: Path, text: str) -> None:
    (folder / KEY_NAME).write_text(text)


DAMAGES = {
    "a changed engine": damage_engine,
    "no engine": lambda folder: (folder / "a.engine").unlink(),
    "a file more": lambda folder: (folder / "b.engine").touch(),
    "a folder more": lambda folder: (folder / "b").mkdir(),
    "a link to an engine": link_engine,
    "a link to a folder": link_entry,
    "no key": lambda folder: (folder / KEY_NAME).unlink(),
    "an empty key": lambda folder: edit_key(folder, ""),
    "no JSON": lambda folder: edit_key(folder, "{"),
    "another JSON": lambda folder: edit_key(folder, "[1]"),
    "deep JSON": lambda folder: edit_key(folder, "[" * 100_000),
    "no files": lambda folder: edit_key(
        folder, json.dumps({"key": KEY.content(), "files": {}})
    ),
    "files that are no list": lambda folder: edit_key(
        folder, json.dumps({"key": KEY.content(), "files": 3})
    ),
    "bytes that are no text": lambda folder: (folder / KEY_NAME).write_bytes(b"\xff\xfe"),
    "a huge key": lambda folder: edit_key(folder, " " * (2**20 + 1)),
    "a key that never ends": lambda folder: (
        (folder / KEY_NAME).unlink(),
        os.mkfifo(folder / KEY_NAME),
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_entry_is_not_found_and_can_be_built_again(cache, damage):
    damage(build(cache))
    assert cache.find(KEY) is None
    assert (build(cache, content=b"new") / "a.engine").read_bytes() == b"new"


def test_removing_an_entry_that_is_a_link_leaves_what_it_leads_to(cache):
    folder = build(cache)
    link_entry(folder)
    build(cache, content=b"new")
    assert not folder.is_symlink()
    assert (cache.root / "elsewhere" / "a.engine").exists()


def test_a_build_that_fails_leaves_nothing(cache):
    def fail(folder: Path) -> None:
        (folder / "a.engine").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError), cache.new_entry(KEY) as folder:
        fail(folder)
    assert cache.find(KEY) is None
    assert not list(cache.root.glob(".*building"))


def test_what_a_killed_builder_left_is_no_engine_and_is_removed(cache):
    left = cache.root / f".{KEY.digest()}.building"
    left.mkdir()
    (left / "a.engine").touch()
    (left / "b.engine").touch()
    assert cache.find(KEY) is None
    assert {path.name for path in build(cache).iterdir()} == {"a.engine", KEY_NAME}


def test_a_builder_that_kept_nothing_is_an_error(cache):
    with pytest.raises(InputError, match="kept no engine"), cache.new_entry(KEY):
        pass
    assert cache.find(KEY) is None


def test_the_second_builder_is_told_at_once_or_waits(cache):
    order: list[str] = []

    def second() -> None:
        with cache.building(wait=True):
            order.append("second")

    with cache.building(wait=False):
        with pytest.raises(BusyError), cache.building(wait=False):
            pass
        thread = threading.Thread(target=second)
        thread.start()
        order.append("first")
    thread.join(timeout=10)
    assert order == ["first", "second"]


# --------------------------------------------------------------------------------- the folder


def test_the_folder_is_the_users_alone(cache):
    assert stat.S_IMODE(cache.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(cache.timings(PLATFORM).stat().st_mode) == 0o700


def test_a_folder_that_others_read_is_closed(tmp_path):
    (tmp_path / "c").mkdir(mode=0o755)
    assert stat.S_IMODE(EngineCache.open(tmp_path / "c").root.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o702, 0o1777])
def test_a_folder_that_others_write_to_is_refused(tmp_path, mode):
    (tmp_path / "c").mkdir()
    (tmp_path / "c").chmod(mode)
    with pytest.raises(RefusedError, match="others may write to it"):
        EngineCache.open(tmp_path / "c")


def test_a_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    (tmp_path / "c").mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(RefusedError, match="belongs to another user"):
        EngineCache.open(tmp_path / "c")


def test_a_link_is_refused(tmp_path):
    (tmp_path / "there").mkdir(mode=0o700)
    (tmp_path / "c").symlink_to(tmp_path / "there")
    with pytest.raises(RefusedError, match="is a link"):
        EngineCache.open(tmp_path / "c")


def test_a_file_in_the_folders_place_is_an_error(tmp_path):
    (tmp_path / "c").touch()
    with pytest.raises(InputError, match="cannot be a cache"):
        EngineCache.open(tmp_path / "c")


def test_timings_that_are_a_link_are_replaced(cache, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (cache.root / f"timings-{PLATFORM.digest()}").symlink_to(elsewhere)
    assert not cache.timings(PLATFORM).is_symlink()
    assert elsewhere.is_dir()


def test_the_cache_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("DCAE_CACHE", str(tmp_path / "own"))
    assert EngineCache.open(None).root == tmp_path / "own" / "tensorrt"


# --------------------------------------------------------------------------------- keys


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(engine_key, "built_for_cuda", lambda: "13.0")
    monkeypatch.setattr(engine_key, "installed_version", lambda: "1.31.1")
    return use_machine(monkeypatch, FakeMachine())


def test_the_platform_is_that_of_this_machine(here):
    assert Platform.here(device=0) == PLATFORM


def test_a_driver_without_a_version_keeps_no_engines(here):
    here.absent.add("libnvidia-ml.so.1")
    with pytest.raises(ProviderError, match="does not say its version"):
        Platform.here(device=0)


def test_a_key_is_of_the_files_that_were_checked(here, tmp_path):
    path = write_tiny_bundle(tmp_path / "b")
    keys = []
    for verify in (True, False):
        bundle = Bundle.open(path, verify_hashes=verify)
        files = bundle.check_graph("decoder")
        keys.append(EngineKey.of(files, TensorRtOptions(), platform=PLATFORM, profile=PROFILE))
    verified, unverified = keys
    records = bundle.manifest.files
    assert verified.model_id == bundle.manifest.model.id
    assert verified.digests == (
        records["decoder.onnx"].sha256,
        records["decoder.onnx.data"].sha256,
    )
    assert verified.has_verified_digests
    assert verified.digest() != unverified.digest()
