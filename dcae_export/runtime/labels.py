"""Labels by number or by name."""

import difflib
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dcae_export.bundle.manifest import Conditioning
from dcae_export.errors import UsageError

# A manifest's labels have ten digits at most; Python converts no more than 4300.
_NUMBER = re.compile(r"-?[0-9]{1,10}")


def label_numbers(
    labels: Sequence[int | str | None], conditioning: Conditioning
) -> NDArray[np.int64] | None:
    """The numbers of ``labels``, (N,); None where the model has no labels.

    A name is one of the bundle's class names, or one of the words that a name lists between commas; case does
    not matter. None is the null label.

    Raises:
        UsageError: No label is given, or one that the model does not have.
    """
    if not labels:
        raise UsageError("no label: nothing to generate")
    if conditioning.num_classes is None:
        if any(label is not None for label in labels):
            raise UsageError("this model has no labels; say how many pictures with --count")
        return None
    return np.array([_number(label, conditioning) for label in labels], np.int64)


def _number(label: int | str | None, conditioning: Conditioning) -> int:
    if label is None:
        assert conditioning.null_label is not None
        return conditioning.null_label
    if isinstance(label, str) and not _NUMBER.fullmatch(label):
        return _by_name(label, conditioning.class_names)
    number = int(label)
    assert conditioning.num_classes is not None
    if not 0 <= number < conditioning.num_classes:
        raise UsageError(f"label {number}: labels are 0 to {conditioning.num_classes - 1}")
    return number


def _by_name(name: str, class_names: tuple[str, ...] | None) -> int:
    if class_names is None:
        raise UsageError(f"label {name!r}: this bundle names no classes; give the label's number")
    wanted = name.casefold().strip()
    found = [
        number
        for number, listed in enumerate(class_names)
        if wanted in (listed.casefold(), *(word.strip() for word in listed.casefold().split(",")))
    ]
    if len(found) > 1:
        numbers = " and ".join(map(str, found))
        raise UsageError(f"label {name!r}: the name of {numbers}; give the label's number")
    if found:
        return found[0]
    words = [word.strip() for listed in class_names for word in listed.casefold().split(",")]
    near = difflib.get_close_matches(wanted, words, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else "dcae inspect --json lists them"
    raise UsageError(f"label {name!r}: no such class; {hint}")
