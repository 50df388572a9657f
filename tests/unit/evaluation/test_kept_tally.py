import numpy as np
import pytest

from dcae_export.errors import InputError
from dcae_export.evaluation.kept_tally import INTERVAL_S, KeptTally
from dcae_export.evaluation.tally import Measured, Tally


class Clock:
    def __init__(self) -> None:
        self.now_s = 5.0

    def __call__(self) -> float:
        return self.now_s


def tally_of(items: int) -> Tally:
    tally = Tally()
    tally.add(Measured(items=items, values={"psnr": [1.5] * items}))
    return tally


def kept(path, *, restart: bool = False, clock=None, **settings: str) -> KeptTally:
    return KeptTally(path, settings, restart=restart, **({} if clock is None else {"clock": clock}))


def test_nothing_kept_is_nothing_done(tmp_path):
    assert kept(tmp_path / "p.npz").read().done == 0


def test_what_was_written_is_found_under_the_same_settings(tmp_path):
    kept(tmp_path / "p.npz", size="64").write(tally_of(3))
    found = kept(tmp_path / "p.npz", size="64").read()
    assert (found.done, found.values) == (3, {"psnr": [1.5] * 3})


def test_another_setting_is_named_and_refused(tmp_path):
    kept(tmp_path / "p.npz", size="64", crop="ADM").write(tally_of(3))
    with pytest.raises(InputError, match="size is '32', and was '64'; choose another --out"):
        kept(tmp_path / "p.npz", size="32", crop="ADM").read()
    with pytest.raises(InputError, match="crop is None, and was 'ADM'"):
        kept(tmp_path / "p.npz", size="64").read()


def test_a_restart_begins_anew_whatever_is_there(tmp_path):
    kept(tmp_path / "p.npz", size="64").write(tally_of(3))
    again = kept(tmp_path / "p.npz", restart=True, size="32")
    assert again.read().done == 0
    again.write(tally_of(1))
    assert kept(tmp_path / "p.npz", size="32").read().done == 1


def test_it_is_written_again_once_the_interval_has_passed(tmp_path):
    clock = Clock()
    keeper = kept(tmp_path / "p.npz", clock=clock)
    keeper.keep(tally_of(1))
    assert not (tmp_path / "p.npz").exists()
    clock.now_s += INTERVAL_S
    keeper.keep(tally_of(2))
    clock.now_s += INTERVAL_S / 2
    keeper.keep(tally_of(3))
    assert kept(tmp_path / "p.npz").read().done == 2


def test_a_file_of_other_arrays_says_how_to_go_on(tmp_path):
    np.savez(tmp_path / "p.npz", mu=np.ones(2))
    with pytest.raises(InputError, match="--restart begins anew"):
        kept(tmp_path / "p.npz").read()
    np.savez(tmp_path / "p.npz", settings=np.frombuffer(b"[]", np.uint8))
    with pytest.raises(InputError, match="--restart begins anew"):
        kept(tmp_path / "p.npz").read()
