import numpy as np

from dcae_export.evaluation.generation import draw_labels


def test_labels_are_those_of_the_published_evaluations():
    # torch.randint(0, 1000, (50000,)) of a CPU generator seeded with 0, as PyTorch has drawn it since 1.0.
    labels = draw_labels(50_000, num_classes=1000)
    assert labels[:8] == [44, 239, 933, 760, 963, 379, 427, 503]
    counts = np.bincount(labels, minlength=1000)
    # Not balanced: 50 of each on average, with the spread of chance.
    assert 6 < counts.std() < 8


def test_a_model_without_classes_has_no_labels():
    assert draw_labels(3, num_classes=None) == [None] * 3
