import cv2
import numpy as np
from training_recipes import step_done

from dcae_export.training.report.loss_log import LossLog
from dcae_export.training.report.loss_plot import draw_losses


def test_every_loss_is_drawn_below_the_other(tmp_path):
    log = LossLog(tmp_path / "losses.csv")
    for step in range(1, 121):
        losses = {"l1": 1 / step} if step < 60 else {"l1": 1 / step, "adversarial": float(step % 7)}
        log.append(step_done(step, steps=120, **losses))
    log.close()
    assert draw_losses(tmp_path / "losses.csv", tmp_path / "losses.png")
    picture = cv2.imread(str(tmp_path / "losses.png"))
    # tab:blue, in OpenCV's order.
    curves = np.flatnonzero((picture == (180, 119, 31)).all(axis=2).any(axis=1))
    gaps = np.flatnonzero(np.diff(curves) > 20)
    assert len(gaps) == 1


def test_one_step_is_enough(tmp_path):
    log = LossLog(tmp_path / "losses.csv")
    log.append(step_done(1))
    log.close()
    assert draw_losses(tmp_path / "losses.csv", tmp_path / "losses.png")
    assert cv2.imread(str(tmp_path / "losses.png")) is not None


def test_without_losses_nothing_is_drawn(tmp_path):
    assert not draw_losses(tmp_path / "losses.csv", tmp_path / "losses.png")
    assert not list(tmp_path.iterdir())
