import numpy as np
import pytest

from dcae_export.evaluation.tally import Measured, Tally
from dcae_export.pictures.skipped import Skip, SkipReason

SKIP = Skip.of("grün\n.png", SkipReason.UNREADABLE, "damaged")


def measured(items: int, *, seed: int = 0, skipped: tuple[Skip, ...] = ()) -> Measured:
    rng = np.random.default_rng(seed)
    return Measured(
        items=items,
        values={"psnr": [*rng.normal(size=items - 1), np.inf]},
        features={name: rng.normal(size=(items, 4)).astype("float32") for name in ("a", "b")},
        skipped=skipped,
    )


def tally_of(*batches: Measured) -> Tally:
    tally = Tally()
    for batch in batches:
        tally.add(batch)
    return tally


def assert_equal(first: Tally, second: Tally) -> None:
    assert (first.done, first.values) == (second.done, second.values)
    assert first.skipped == second.skipped
    assert first.moments.keys() == second.moments.keys()
    for name, moments in first.moments.items():
        assert moments.count == second.moments[name].count
        assert np.array_equal(moments.mean, second.moments[name].mean)
        assert np.array_equal(moments.deviations, second.moments[name].deviations)


@pytest.mark.parametrize("batches", [(), (measured(3, skipped=(SKIP,)), measured(2, seed=1))])
def test_a_tally_comes_back_from_arrays_with_the_same_bits(batches):
    tally = tally_of(*batches)
    assert_equal(Tally.from_arrays(tally.to_arrays()), tally)


def test_a_tally_that_came_back_goes_on_as_the_one_that_never_went():
    first, second = measured(3), measured(2, seed=1)
    returned = Tally.from_arrays(tally_of(first).to_arrays())
    returned.add(second)
    assert_equal(returned, tally_of(first, second))


def test_merged_tallies_hold_the_items_of_both_in_their_order():
    first, second = measured(3, skipped=(SKIP,)), measured(2, seed=1)
    merged = tally_of(first)
    merged.merge(tally_of(second))
    whole = tally_of(first, second)
    assert (merged.done, merged.values, merged.skipped) == (5, whole.values, [SKIP])
    for name, moments in merged.moments.items():
        np.testing.assert_allclose(moments.deviations, whole.moments[name].deviations, rtol=1e-12)


def test_arrays_of_something_else_are_an_error():
    arrays = tally_of(measured(3)).to_arrays()
    with pytest.raises(ValueError, match=r"moments of \[4\] and \[3, 3\]"):
        Tally.from_arrays({**arrays, "moments.a.deviations": np.ones((3, 3))})
    with pytest.raises(KeyError):
        Tally.from_arrays({name: array for name, array in arrays.items() if name != "done"})
