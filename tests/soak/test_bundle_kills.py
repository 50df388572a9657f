"""A killed writer leaves the old bundle or the new one, never neither (P1, P2)."""

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bundle_factory import write_tiny_bundle
from death_at_step import dies_before, needs_fork

from dcae_export.bundle.manifest import Manifest
from dcae_export.bundle.reader import Bundle
from dcae_export.bundle.writer import BundleWriter
from dcae_export.files import folder_swap

# Without torch and onnx, so that a process is ready in a fraction of a second.
_REPLACE_FOR_EVER = """
import shutil, sys
from pathlib import Path
from dcae_export.files import folder_swap
from dcae_export.bundle.reader import Bundle
from dcae_export.bundle.writer import BundleWriter

if sys.argv[1] == "two renames":
    folder_swap._exchange = lambda *_: False
target, *sources = map(Path, sys.argv[2:])
print("ready", flush=True)
while True:
    for source in sources:
        with BundleWriter(target, force=True) as writer:
            shutil.copytree(source, writer.staging, dirs_exist_ok=True)
            (writer.staging / "manifest.json").unlink()
            writer.commit(Bundle.open(source).manifest)
"""

# A replacement takes a few milliseconds: this covers several.
_LONGEST_LIFE_S = 0.03

both_swaps = pytest.mark.parametrize("way", ["exchange", "two renames"])


class _Scene:
    """A target and the two bundles that it may be."""

    def __init__(self, folder: Path, way: str) -> None:
        self.way = way
        self.target = folder / "place" / "bundle"
        self.sources = [
            write_tiny_bundle(folder / "sources" / f"{seed}", seed=seed) for seed in (1, 2)
        ]
        write_tiny_bundle(self.target, seed=1)

    def manifests(self) -> list[Manifest]:
        return [Bundle.open(source).manifest for source in self.sources]

    def check(self) -> None:
        if self.way == "exchange":
            self._check_target()
        # Between two renames there is no target until the next writer starts.
        with BundleWriter(self.target, force=True):
            self._check_target()
        assert {path.name for path in self.target.parent.iterdir()} <= {"bundle", ".bundle.lock"}

    def _check_target(self) -> None:
        bundle = Bundle.open(self.target)
        bundle.verify()
        assert bundle.manifest in self.manifests()


def _kill_at_random(scene: _Scene, *, times: int) -> None:
    moments = random.Random(times)
    arguments = [scene.way, str(scene.target), *map(str, scene.sources)]
    for _ in range(times):
        with subprocess.Popen(
            [sys.executable, "-c", _REPLACE_FOR_EVER, *arguments], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(moments.uniform(0, _LONGEST_LIFE_S))
            assert process.poll() is None
            process.kill()
        scene.check()


@pytest.mark.integration
@pytest.mark.parametrize(("way", "times"), [("exchange", 25), ("two renames", 5)])
def test_a_kill_at_a_random_moment_leaves_a_whole_bundle(
    tmp_path: Path, way: str, times: int
) -> None:
    _kill_at_random(_Scene(tmp_path, way), times=times)


@pytest.mark.soak
@both_swaps
def test_two_hundred_kills_leave_a_whole_bundle(tmp_path: Path, way: str) -> None:
    _kill_at_random(_Scene(tmp_path, way), times=200)


def _replace(scene: _Scene) -> None:
    with BundleWriter(scene.target, force=True) as writer:
        shutil.copytree(scene.sources[1], writer.staging, dirs_exist_ok=True)
        (writer.staging / "manifest.json").unlink()
        writer.commit(Bundle.open(scene.sources[1]).manifest)


@pytest.mark.integration
@needs_fork
@both_swaps
def test_a_kill_before_any_step_leaves_a_whole_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    scene = _Scene(tmp_path, way)
    if way == "two renames":
        monkeypatch.setattr(folder_swap, "_exchange", lambda *_: False)
    step = 1
    while dies_before(step, lambda: _replace(scene)):
        scene.check()
        step += 1
    assert step > 30
    assert Bundle.open(scene.target).manifest == scene.manifests()[1]
