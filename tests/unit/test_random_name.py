import pytest

from dcae_export.errors import UsageError
from dcae_export.random_name import is_random, random_name, seed_of


@pytest.mark.parametrize("seed", [0, 7, 10**18 - 1])
def test_a_name_says_its_seed(seed):
    assert is_random(random_name(seed))
    assert seed_of(random_name(seed)) == seed


@pytest.mark.parametrize("weights", ["random", "my/random:0", "", "a.safetensors"])
def test_other_weights_are_not_drawn(weights):
    assert not is_random(weights)


@pytest.mark.parametrize(
    "seed", ["", "x", "-1", "+1", "1.5", "1_0", " 1", "1\n", "²", "٣", "9" * 19, "9" * 5000]
)
def test_a_malformed_seed_is_one_line_with_an_example(seed):
    assert is_random(f"random:{seed}")
    with pytest.raises(UsageError, match=r"the seed is a number from 0 on, .* as in random:0"):
        seed_of(f"random:{seed}")
