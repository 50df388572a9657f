import json

import numpy as np
import pytest

from dcae_export.errors import InputError
from dcae_export.evaluation.moments import Gaussian
from dcae_export.evaluation.statistics_file import Statistics

GAUSSIAN = Gaussian(mean=np.arange(3.0), covariance=np.diag([1.0, 2.0, 3.0]))


def test_statistics_come_back_with_the_same_bits(tmp_path):
    settings = {"Inception": "random:0", "crop": "ADM's, 64 px"}
    Statistics(gaussian=GAUSSIAN, count=12, settings=settings).write(
        tmp_path / "s.npz", force=False
    )
    found = Statistics.read(tmp_path / "s.npz")
    assert np.array_equal(found.gaussian.mean, GAUSSIAN.mean)
    assert np.array_equal(found.gaussian.covariance, GAUSSIAN.covariance)
    assert (found.count, found.settings) == (12, settings)


def test_any_reader_of_npz_files_finds_them_by_pytorch_fids_names(tmp_path):
    Statistics(gaussian=GAUSSIAN, count=12, settings={"a": "b"}).write(
        tmp_path / "s.npz", force=False
    )
    with np.load(tmp_path / "s.npz", allow_pickle=False) as found:
        assert np.array_equal(found["mu"], GAUSSIAN.mean)
        assert np.array_equal(found["sigma"], GAUSSIAN.covariance)
        assert found["count"] == 12
        assert json.loads(str(found["settings"])) == {"a": "b"}


def test_statistics_of_another_program_have_no_count_and_no_settings(tmp_path):
    np.savez_compressed(tmp_path / "s.npz", mu=GAUSSIAN.mean, sigma=GAUSSIAN.covariance, arr_0=1j)
    found = Statistics.read(tmp_path / "s.npz")
    assert np.array_equal(found.gaussian.covariance, GAUSSIAN.covariance)
    assert (found.count, found.settings) == (None, {})


def test_nothing_is_replaced_without_force(tmp_path):
    statistics = Statistics(gaussian=GAUSSIAN, count=2, settings={})
    statistics.write(tmp_path / "s.npz", force=False)
    with pytest.raises(InputError, match="exists"):
        statistics.write(tmp_path / "s.npz", force=False)
    statistics.write(tmp_path / "s.npz", force=True)


def test_statistics_that_are_missing_are_named_with_what_makes_them(tmp_path):
    with pytest.raises(
        InputError, match=r"s\.npz: no such file; dcae evaluate statistics DIR --out"
    ):
        Statistics.read(tmp_path / "s.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mu": None}, "has no 'mu'; statistics come from dcae evaluate statistics"),
        ({"sigma": np.eye(4)}, r"mu of \[3\] and sigma of \[4, 4\] do not belong together"),
        ({"mu": np.full(3, np.nan)}, "not finite"),
        ({"count": np.ones(2)}, r"s\.npz: "),
        ({"settings": np.array("[]")}, "settings are no JSON object"),
        ({"settings": np.array("{")}, r"s\.npz: "),
    ],
)
def test_what_are_no_statistics_is_refused(tmp_path, change, message):
    arrays = {"mu": GAUSSIAN.mean, "sigma": GAUSSIAN.covariance} | change
    np.savez(tmp_path / "s.npz", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(InputError, match=message):
        Statistics.read(tmp_path / "s.npz")
