import json
import math
from decimal import Decimal
from pathlib import Path

import pytest

from dcae_export.evaluation.published import Evidence, Published, Standing
from dcae_export.evaluation.result import Figure, Result


def published(digits, *, count=50_000, evidence=Evidence.REPOSITORY):
    return Published(
        value=Decimal(digits), count=count, setting="a set", source="a source", evidence=evidence
    )


def figure(value, beside, *, better="lower", count=50_000):
    return Figure(
        name="rFID", value=value, count=count, better=better, note="why", published=beside
    )


@pytest.mark.parametrize(
    ("value", "better", "standing"),
    [
        (0.21, "lower", Standing.BETTER),
        (0.24, "lower", Standing.WORSE),
        (0.21, "higher", Standing.WORSE),
        (0.24, "higher", Standing.BETTER),
        (0.2251, "lower", Standing.WORSE),
    ],
)
def test_a_figure_stands_to_the_published_one_as_its_direction_says(value, better, standing):
    assert figure(value, published("0.22"), better=better).standing is standing


@pytest.mark.parametrize("value", [0.2151, 0.22, 0.2249])
def test_a_figure_that_rounds_to_the_published_digits_is_equal(value):
    assert figure(value, published("0.22")).standing is Standing.EQUAL


def test_nothing_is_compared_with_what_is_not_there():
    assert figure(None, published("0.22")).standing is None
    assert figure(0.2, None).standing is None


def test_a_figure_that_is_not_confirmed_is_not_compared_with():
    assert figure(0.2, published("0.22", evidence=Evidence.UNCONFIRMED)).standing is None


def test_figures_over_other_numbers_of_pictures_are_not_compared():
    assert figure(0.2, published("0.22"), count=49_999).standing is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_no_figure(value):
    with pytest.raises(ValueError, match="rFID"):
        figure(value, None)


def test_a_figure_without_a_value_says_why():
    with pytest.raises(ValueError, match="why"):
        Figure(name="LPIPS", value=None, count=0, better="lower")


def test_a_trial_that_is_not_finite_is_no_figure():
    with pytest.raises(ValueError, match="nan"):
        Figure(name="LPIPS", value=None, count=1, better="lower", note="why", trial=math.nan)


def test_a_result_as_json_is_whole_and_has_nulls_for_what_is_not_finite():
    result = Result(
        kind="reconstruction",
        subject="dcae-f64",
        settings={"size": "512"},
        figures=(
            figure(0.2167766520628902, published("0.21678")),
            Figure(
                name="LPIPS", value=None, count=9, better="lower", note="no weights", trial=484.0
            ),
        ),
        distributions={"PSNR, dB": (25.5, math.inf)},
        pictures=(Path("out") / "sheet-0.png",),
    )
    read = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert read == {
        "kind": "reconstruction",
        "subject": "dcae-f64",
        "settings": {"size": "512"},
        "figures": [
            {
                "name": "rFID",
                "value": 0.2167766520628902,
                "trial": None,
                "unit": "",
                "count": 50_000,
                "better": "lower",
                "note": "why",
                "published": {
                    "value": 0.21678,
                    "count": 50_000,
                    "setting": "a set",
                    "source": "a source",
                    "evidence": "the authors' repository",
                },
                "standing": "equal",
            },
            {
                "name": "LPIPS",
                "value": None,
                "trial": 484.0,
                "unit": "",
                "count": 9,
                "better": "lower",
                "note": "no weights",
                "published": None,
                "standing": None,
            },
        ],
        "distributions": {"PSNR, dB": [25.5, None]},
        "pictures": [str(Path("out") / "sheet-0.png")],
    }
