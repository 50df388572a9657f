"""Labels by number and by name."""

import numpy as np
import pytest

from dcae_export.bundle.manifest import Conditioning
from dcae_export.errors import UsageError
from dcae_export.runtime.labels import label_numbers

NAMED = Conditioning(
    kind="class",
    num_classes=3,
    null_label=3,
    class_names=("goldfish", "macaw, ara", "Great Dane"),
)
UNNAMED = NAMED.model_copy(update={"class_names": None})
NONE = Conditioning(kind="none", num_classes=None, null_label=None, class_names=None)


def test_numbers_names_and_single_words_of_a_name_are_labels():
    found = label_numbers([1, "2", "great dane", "ARA", "macaw, ara", None], NAMED)
    assert found is not None
    assert found.dtype == np.int64
    assert found.tolist() == [1, 2, 2, 1, 1, 3]


def test_an_unconditional_model_has_no_labels():
    assert label_numbers([None, None], NONE) is None
    with pytest.raises(UsageError, match="has no labels"):
        label_numbers([1], NONE)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (3, "label 3: labels are 0 to 2"),
        (-1, "label -1: labels are 0 to 2"),
        ("-1", "label -1: labels are 0 to 2"),
        ("maccaw", "did you mean macaw"),
        ("zzz", "dcae inspect --json lists them"),
    ],
)
def test_a_label_that_is_not_there_says_what_is(label, message):
    with pytest.raises(UsageError, match=message):
        label_numbers([label], NAMED)


def test_a_name_needs_class_names():
    with pytest.raises(UsageError, match="this bundle names no classes"):
        label_numbers(["macaw"], UNNAMED)


def test_no_label_is_nothing_to_do():
    with pytest.raises(UsageError, match="nothing to generate"):
        label_numbers([], NAMED)


def test_a_name_of_two_classes_is_no_label():
    named = NAMED.model_copy(update={"class_names": ("crane", "macaw", "Crane")})
    with pytest.raises(UsageError, match="the name of 0 and 2"):
        label_numbers(["crane"], named)
