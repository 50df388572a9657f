"""The names that a published transformer's labels have."""

from dcae_export.models.imagenet_classes import imagenet_classes
from dcae_export.models.transformer_presets import NUM_CLASSES


def test_there_is_a_name_for_each_label_in_the_order_of_the_challenge():
    names = imagenet_classes()
    assert len(names) == NUM_CLASSES
    assert all(name and name == name.strip() for name in names)
    assert {number: names[number] for number in (0, 88, 207, 985)} == {
        0: "tench, Tinca tinca",
        88: "macaw",
        207: "golden retriever",
        985: "daisy",
    }
