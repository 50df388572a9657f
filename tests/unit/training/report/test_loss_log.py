import csv
import os

import pytest
from training_recipes import step_done

from dcae_export.errors import InputError
from dcae_export.training.report.loss_log import LossLog, read_losses


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "losses.csv"


def write(path, *events):
    log = LossLog(path)
    for event in events:
        log.append(event)
    log.close()


def test_each_step_is_a_row(path):
    write(path, step_done(1, l1=0.5, lpips=0.25), step_done(2, l1=0.125, lpips=1e-9))
    assert rows(path) == [
        {
            "step": "1",
            "learning_rate": "0.0001",
            "samples_per_second": "2.5",
            "skipped": "0",
            "l1": "0.5",
            "lpips": "0.25",
        },
        {**rows(path)[0], "step": "2", "l1": "0.125", "lpips": "1e-09"},
    ]


def test_a_row_can_be_read_before_the_log_is_closed(path):
    log = LossLog(path)
    log.append(step_done(1))
    assert read_losses(path) == {"l1": [(1, 1.0)]}
    log.close()


def test_a_resumed_run_has_each_step_once(path):
    write(path, *(step_done(step, l1=1) for step in (1, 2, 3, 4)))
    write(path, *(step_done(step, l1=2) for step in (3, 4, 5)))
    assert read_losses(path) == {"l1": [(1, 1), (2, 1), (3, 2), (4, 2), (5, 2)]}


def test_half_a_row_that_a_kill_left_goes(path):
    write(path, step_done(1, l1=0.5), step_done(2, l1=0.25))
    os.truncate(path, path.stat().st_size - 2)
    assert read_losses(path) == {"l1": [(1, 0.5)]}
    write(path, step_done(3, l1=0.125))
    assert read_losses(path) == {"l1": [(1, 0.5), (3, 0.125)]}


def test_a_loss_that_begins_later_gets_a_column(path):
    write(path, step_done(1, l1=1), step_done(2, l1=1, adversarial=3), step_done(3, l1=1))
    assert [row["adversarial"] for row in rows(path)] == ["", "3", ""]
    assert read_losses(path) == {"l1": [(1, 1), (2, 1), (3, 1)], "adversarial": [(2, 3)]}
    write(path, step_done(4, l1=1))
    assert rows(path)[-1]["adversarial"] == ""


def test_without_a_log_there_are_no_losses(path):
    assert read_losses(path) == {}


@pytest.mark.parametrize("content", [b"", b"\n", b"nothing\n\xff,2\n", b"step\n"])
def test_what_is_no_log_is_written_anew(path, content):
    path.write_bytes(content)
    assert read_losses(path) in ({}, {"nothing": []})
    write(path, step_done(1, l1=0.5))
    assert read_losses(path)["l1"] == [(1, 0.5)]


def test_a_value_that_is_no_number_is_an_error(path):
    path.write_text("step,l1\n1,much\n")
    with pytest.raises(InputError, match=r"losses\.csv: no log of losses"):
        read_losses(path)


def test_a_folder_that_is_gone_is_an_error(path):
    with pytest.raises(InputError, match="cannot be written"):
        write(path.parent / "gone" / "losses.csv", step_done(1))
