import numpy as np

from benchmarks.labelled_sheet import labelled_sheet

COLOURS = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]


def filled(colour: tuple[int, int, int], side: int) -> np.ndarray:
    return np.full((side, side, 3), colour, np.uint8)


def count(sheet: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((sheet == colour).all(axis=2).sum())


def test_pictures_of_all_sizes_take_the_same_room_in_their_order():
    red, green, blue = COLOURS
    rows = {"first": [filled(red, 80), filled(green, 20)], "second": [filled(blue, 40)]}
    sheet = labelled_sheet(rows, columns=("one", "two"), side=40)
    assert [count(sheet, colour) for colour in COLOURS] == [1600, 1600, 1600]
    places = [np.argwhere((sheet == colour).all(axis=2))[0] for colour in COLOURS]
    assert places[0][0] == places[1][0] < places[2][0]
    assert places[0][1] == places[2][1] < places[1][1]


def test_names_stand_outside_the_pictures():
    rows = {"a name": [filled(COLOURS[0], 40)]}
    named = labelled_sheet(rows, columns=("column",), side=40)
    nameless = labelled_sheet({"": rows["a name"]}, columns=("",), side=40)
    assert count(named, COLOURS[0]) == count(nameless, COLOURS[0]) == 1600
    assert not np.array_equal(named, nameless)
