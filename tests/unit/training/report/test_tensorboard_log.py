import time

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_recipes import step_done

from dcae_export.training.report.tensorboard_log import TensorBoardLog


def read(folder) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0}).Reload()


def test_scalars_and_sheets_can_be_read_by_tensorboard(tmp_path):
    log = TensorBoardLog(tmp_path, first_step=1)
    log.add_step(step_done(1, l1=0.5, lpips=0.25))
    log.add_sheet(1, np.full((16, 24, 3), 200, np.uint8))
    log.close()
    events = read(tmp_path)
    assert set(events.Tags()["scalars"]) == {
        *("loss/l1", "loss/lpips", "gradient_norm/network"),
        *("learning_rate", "samples_per_second", "skipped"),
    }
    (scalar,) = events.Scalars("loss/l1")
    assert (scalar.step, scalar.value) == (1, 0.5)
    (image,) = events.Images("samples")
    assert (image.step, image.width, image.height) == (1, 24, 16)


def test_what_a_resumed_run_repeats_is_hidden(tmp_path):
    for first, losses in ((1, (1.0, 1.0, 1.0)), (3, (2.0, 2.0))):
        log = TensorBoardLog(tmp_path, first_step=first)
        for step, loss in enumerate(losses, start=first):
            log.add_step(step_done(step, l1=loss))
        log.close()
        # TensorBoard reads a folder's files in the order of the seconds in which they were begun.
        time.sleep(1)
    scalars = [(one.step, one.value) for one in read(tmp_path).Scalars("loss/l1")]
    assert scalars == [(1, pytest.approx(1)), (2, 1), (3, 2), (4, 2)]
