import sys
import threading
import time

import pytest
from bundle_factory import stage_tiny_files, tiny_manifest
from demo_stand_in import SIDES, pass_for_demo, ship_stand_in

import dcae_export
from dcae_export.bundle.reader import Bundle
from dcae_export.bundle.writer import BundleWriter
from dcae_export.cli.commands.generate import command
from dcae_export.cli.demo_bundle import demo_bundle
from dcae_export.errors import BundleError, UsageError, WeightsError
from dcae_export.export import exporter
from dcae_export.models import shipped
from dcae_export.user_cache import cache_root
from recipes.demo.table import FAMILIES

SIDE = SIDES[0]


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """The demo model's folder, with a tiny model in it."""
    folder = tmp_path / "package" / "demo"
    pass_for_demo(monkeypatch, folder)
    return ship_stand_in(folder, tmp_path / "runs")


@pytest.fixture
def exported(monkeypatch):
    """What was exported; a tiny bundle stands for each."""
    made = []

    def export(checkpoint, target, options, *, transformer, wait, progress):
        progress("encoder: tracing")
        made.append((checkpoint, target, options, transformer))
        with BundleWriter(target, wait=wait) as writer:
            stage_tiny_files(writer.staging)
            # Long enough for another process to find the target taken.
            time.sleep(0.2)
            writer.commit(tiny_manifest(writer.file_records()))
        return target

    monkeypatch.setattr(exporter, "export", export)
    return made


@pytest.mark.usefixtures("folder")
def test_the_bundle_is_made_once_and_kept(exported, capsys):
    target = demo_bundle(None)
    assert f"making the demo bundle for {SIDE}x{SIDE}, once: {target}" in capsys.readouterr().err
    assert demo_bundle((SIDE, SIDE)) == target
    assert capsys.readouterr().err == ""
    ((checkpoint, made, options, transformer),) = exported
    assert made == target
    Bundle.open(target)
    assert (checkpoint.preset, transformer.checkpoint.preset) == (
        shipped.AUTOENCODER_NAME,
        shipped.TRANSFORMER_NAME,
    )
    assert (options.interpolate_positions, options.size) == ((SIDE, SIDE), None)


def test_package_weights_and_size_name_the_bundle(folder, exported, tmp_path, monkeypatch):
    first = demo_bundle((SIDE, SIDE))
    assert first.parent == cache_root() / "demo"
    assert first.name == f"{dcae_export.__version__}-{shipped.shipped_digest()[:16]}-{SIDE}"
    assert demo_bundle((SIDES[1], SIDES[1])).name == first.name.replace(f"-{SIDE}", f"-{SIDES[1]}")
    ship_stand_in(folder, tmp_path / "other", seed=1)
    assert demo_bundle((SIDE, SIDE)) != first
    assert len(exported) == 3


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("size", [(64, 64), (SIDES[0], SIDES[1])])
def test_another_size_is_one_line_with_those_there_are(exported, size):
    with pytest.raises(UsageError, match=r"which knows 8, 16; name a BUNDLE") as raised:
        demo_bundle(size)
    assert f"--size {size[1]}x{size[0]}" in str(raised.value)
    assert not exported


@pytest.mark.usefixtures("folder")
def test_where_pytorch_is_missing_the_way_to_it_is_named_until_the_bundle_is_there(
    exported, monkeypatch
):
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "dcae_export.export.exporter", None)
        with pytest.raises(UsageError, match=r"pip install 'dcae-export\[export\]', or name"):
            demo_bundle(None)
    target = demo_bundle(None)
    monkeypatch.setitem(sys.modules, "dcae_export.export.exporter", None)
    assert demo_bundle(None) == target


def test_a_copy_without_the_demo_model_says_so(monkeypatch, tmp_path):
    pass_for_demo(monkeypatch, tmp_path / "nowhere")
    with pytest.raises(WeightsError, match="no demo model"):
        demo_bundle(None)


@pytest.mark.usefixtures("folder")
def test_two_at_once_make_one_bundle_and_both_get_it(exported):
    found = []
    threads = [threading.Thread(target=lambda: found.append(demo_bundle(None))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert found[0] == found[1]
    assert len(exported) == 2
    Bundle.open(found[0])


@pytest.mark.usefixtures("folder")
def test_an_export_that_fails_leaves_nothing_and_is_no_bundle(monkeypatch):
    def fail(checkpoint, target, options, *, transformer, wait, progress):
        with BundleWriter(target, wait=wait) as writer:
            stage_tiny_files(writer.staging)
            raise BundleError("the disk")

    monkeypatch.setattr(exporter, "export", fail)
    with pytest.raises(BundleError, match="the disk"):
        demo_bundle(None)
    left = [path.name for path in (cache_root() / "demo").iterdir()]
    assert all(name.endswith(".lock") for name in left)


def test_the_help_names_the_classes():
    told = " ".join((command.help or "").split())
    assert all(name in told for name in FAMILIES)
