import pytest

from dcae_export.pictures import skipped as module
from dcae_export.pictures.skipped import Skip, Skipped, SkipReason, size_problem


def unreadable(name: str) -> Skip:
    return Skip.of(name, SkipReason.UNREADABLE, "cut off")


def test_what_was_skipped_is_counted_by_reason_and_listed_in_order():
    skipped = Skipped()
    small = size_problem("small.png", (20, 7), min_side=8)
    assert small is not None
    skipped.add([unreadable("b.png"), small, unreadable("a.png")])
    assert len(skipped) == 3
    assert skipped.counts == {SkipReason.UNREADABLE: 2, SkipReason.TOO_SMALL: 1}
    assert [skip.name for skip in skipped.listed] == ["b.png", "small.png", "a.png"]
    assert str(skipped) == "2 unreadable, 1 too small"


def test_a_picture_that_fails_in_each_epoch_is_counted_once():
    skipped = Skipped()
    for _ in range(3):
        skipped.add([unreadable("a.png")])
    assert len(skipped) == len(skipped.listed) == 1


def test_beyond_the_limit_of_the_list_pictures_are_still_counted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_LISTED", 5)
    skipped = Skipped()
    skipped.add(unreadable(f"{number}.png") for number in range(9))
    assert len(skipped) == 9
    assert len(skipped.listed) == 5


def test_nothing_skipped_reads_as_none():
    assert str(Skipped()) == "none"


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ((8, 8), None),
        ((7, 100), SkipReason.TOO_SMALL),
        ((100, 7), SkipReason.TOO_SMALL),
        ((2**13, 2**13), None),
        ((2**13, 2**13 + 1), SkipReason.TOO_LARGE),
    ],
)
def test_a_size_is_too_small_too_large_or_right(size: tuple[int, int], reason: SkipReason | None):
    problem = size_problem("a.png", size, min_side=8)
    assert (None if problem is None else problem.reason) is reason


def test_a_name_that_cannot_be_printed_is_escaped():
    skip = Skip.of("\N{GREEK SMALL LETTER ALPHA}\udcff\n.png", SkipReason.UNREADABLE, "x\ny")
    assert skip.name == "\N{GREEK SMALL LETTER ALPHA}\\udcff\\n.png"
    assert skip.detail == "x\\ny"
    skip.name.encode()
