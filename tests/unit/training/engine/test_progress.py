import json

import pytest

from dcae_export.errors import WeightsError
from dcae_export.training.engine.checkpoint import Checkpoint
from dcae_export.training.engine.progress import RunProgress

WHOLE = RunProgress(
    step=100,
    updates=98,
    skipped=2,
    skipped_in_a_row=1,
    positions=[{"next": 800}, {"shard": 3}],
    scaler={"scale": 2.0**-20, "_growth_tracker": 7},
)


def stored(folder, content) -> Checkpoint:
    (folder / "state.json").write_text(json.dumps(content))
    return Checkpoint(path=folder, step=100)


def test_progress_is_read_as_it_was_written(tmp_path):
    assert RunProgress.read(stored(tmp_path, WHOLE.model_dump())) == WHOLE


@pytest.mark.parametrize("change", [{"step": -1}, {"step": "100"}, {"more": 1}, {"positions": 3}])
def test_another_state_is_refused(tmp_path, change):
    with pytest.raises(WeightsError, match="its state is not that of a training"):
        RunProgress.read(stored(tmp_path, WHOLE.model_dump() | change))
