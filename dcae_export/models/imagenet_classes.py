"""The names of ImageNet's 1000 classes, in the order of the labels of its classification challenge.

The words are those of WordNet's synonym sets, in the order of the sets' identifiers (Russakovsky et al., arXiv
1409.0575).
"""

from functools import cache
from importlib.resources import files


@cache
def imagenet_classes() -> tuple[str, ...]:
    """A name for each label; words for the same thing stand between commas."""
    text = files("dcae_export.models").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
