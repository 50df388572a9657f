import cv2
import pytest
from training_recipes import sample, step_done

from dcae_export.training.engine.events import CheckpointWritten
from dcae_export.training.report import run_report as report_module
from dcae_export.training.report.loss_log import read_losses
from dcae_export.training.report.run_report import RunReport


@pytest.fixture
def notes():
    return []


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def files(run):
    return {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}


def test_a_run_leaves_losses_samples_and_a_plot(run, notes):
    with RunReport(run, note=notes.append) as report:
        report(step_done(1))
        report(CheckpointWritten(step=1, path=run / "checkpoints" / "step-000001"))
        report(sample(1))
        report(step_done(2))
        report(sample(2, side=64))
    assert read_losses(run / "losses.csv") == {"l1": [(1, 1.0), (2, 0.5)]}
    shown = {name for name in files(run) if not name.startswith("tensorboard/")}
    assert shown == {
        *("losses.csv", "losses.png", "samples.png"),
        *("samples/step-000001.png", "samples/step-000002.png"),
    }
    newest = cv2.imread(str(run / "samples.png"))
    assert (newest == cv2.imread(str(run / "samples" / "step-000002.png"))).all()
    assert len(list((run / "tensorboard").iterdir())) == 1
    assert notes == []


def test_an_error_leaves_what_was_there_and_draws_no_plot(run, notes):
    def fail():
        with RunReport(run, note=notes.append) as report:
            report(step_done(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert read_losses(run / "losses.csv") == {"l1": [(1, 1.0)]}
    assert not (run / "losses.png").exists()


def test_what_is_not_installed_is_told_once_and_left_out(run, notes, monkeypatch):
    monkeypatch.setattr(report_module, "find_spec", lambda name: None)
    with RunReport(run, note=notes.append) as report:
        report(step_done(1))
        report(sample(1))
    assert files(run) == {"losses.csv", "samples.png", "samples/step-000001.png"}
    assert [note.split(" ")[0] for note in notes] == ["tensorboard", "matplotlib"]


def test_a_run_without_a_step_leaves_nothing(run, notes):
    with RunReport(run, note=notes.append):
        pass
    assert files(run) == set()
