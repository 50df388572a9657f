import os

import numpy as np
import pytest

from dcae_export.bundle.manifest import AxisRange, Graph, Port
from dcae_export.errors import InputError, UsageError
from dcae_export.runtime.latent import read_latent, write_latent

DECODER = Graph(
    path="decoder.onnx",
    data=(),
    target="generic",
    precision="fp32",
    opset=18,
    activation_bytes=0,
    attention_bytes=0,
    inputs=(Port(name="latent", dtype="float32", shape=("batch", 4, "height", "width")),),
    outputs=(Port(name="image", dtype="float32", shape=("batch", 3, "2*height", "2*width")),),
    ranges={name: AxisRange(min=1, max=8) for name in ("batch", "height", "width")},
)


def random_latent(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def save(path, array):
    np.save(path, array)
    return path


def test_a_latent_survives_the_way_to_a_file_and_back(tmp_path):
    latent = random_latent(2, 4, 3, 5)
    write_latent(tmp_path / "latent.npy", latent)
    assert np.array_equal(read_latent(tmp_path / "latent.npy", DECODER), latent)
    assert np.array_equal(np.load(tmp_path / "latent.npy", allow_pickle=False), latent)
    assert [path.name for path in tmp_path.iterdir()] == ["latent.npy"]


def test_what_numpy_saves_is_read(tmp_path):
    latent = random_latent(1, 4, 8, 8)
    assert np.array_equal(read_latent(save(tmp_path / "a.npy", latent), DECODER), latent)


def test_a_latent_is_a_npy_file(tmp_path):
    with pytest.raises(UsageError, match=r"\.npy"):
        write_latent(tmp_path / "latent.bin", random_latent(1, 4, 1, 1))


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((1, 4, 2, 2), np.float64), "holds <f8 and not float32"),
        (np.zeros((1, 4, 2, 2), ">f4"), "holds >f4 and not float32"),
        (np.zeros((2, 2, 4, 1), np.float32).T, "stored in reverse"),
        (np.zeros((1, 5, 2, 2), np.float32), "another model"),
        (np.zeros((4, 2, 2), np.float32), "another model"),
        (np.float32(1), "another model"),
        (np.zeros((1, 4, 9, 2), np.float32), "height is 9, the decoder takes 1 to 8"),
        (np.zeros((0, 4, 2, 2), np.float32), "batch is 0"),
        (np.full((1, 4, 2, 2), np.nan, np.float32), "not finite"),
        (np.full((1, 4, 2, 2), np.inf, np.float32), "not finite"),
        (np.zeros(2, [("a", "<f4")]), "not an array of numbers"),
    ],
)
def test_what_is_no_latent_of_this_decoder_is_an_error(tmp_path, array, reason):
    with pytest.raises(InputError, match=reason) as raised:
        read_latent(save(tmp_path / "a.npy", array), DECODER)
    assert str(raised.value).startswith(f"{tmp_path / 'a.npy'}: ")


FIXED_DECODER = DECODER.model_copy(
    update={
        "inputs": (Port(name="latent", dtype="float32", shape=(2, 4, 2, 3)),),
        "outputs": (Port(name="image", dtype="uint8", shape=(2, 64, 96, 3)),),
        "ranges": {},
    }
)


def test_a_latent_of_another_size_than_a_bundles_one_is_told_in_pixels(tmp_path):
    path = save(tmp_path / "a.npy", random_latent(1, 4, 5, 4))
    message = (
        r"a latent of 128x160 pixels and this bundle takes 96x64 alone; export one without --size$"
    )
    with pytest.raises(InputError, match=message):
        read_latent(path, FIXED_DECODER)
    for shape in ((1, 5, 2, 3), (3, 4, 2, 3), (4, 2, 3)):
        with pytest.raises(InputError, match="another model or size"):
            read_latent(save(tmp_path / "b.npy", random_latent(*shape)), FIXED_DECODER)


def test_a_decoder_of_a_fixed_batch_takes_fewer_latents(tmp_path):
    latent = random_latent(1, 4, 2, 3)
    assert np.array_equal(read_latent(save(tmp_path / "a.npy", latent), FIXED_DECODER), latent)


def test_a_pickle_is_not_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("canary").touch, ())

    np.save(tmp_path / "a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="holds \\|O and not float32"):
        read_latent(tmp_path / "a.npy", DECODER)
    assert not (tmp_path / "canary").exists()


def test_a_promise_of_gigabytes_is_refused_before_memory_is_taken(tmp_path):
    data = save(tmp_path / "a.npy", random_latent(1, 4, 2, 2)).read_bytes()
    big = data.replace(b"(1, 4, 2, 2), }         ", b"(99999999, 4, 8, 8), }  ")
    assert big != data
    (tmp_path / "a.npy").write_bytes(big)
    with pytest.raises(InputError, match="batch is 99999999"):
        read_latent(tmp_path / "a.npy", DECODER)


@pytest.mark.parametrize("length", [0, 5, 10, 60, 128, 190])
def test_a_truncated_file_is_an_error(tmp_path, length):
    path = save(tmp_path / "a.npy", random_latent(1, 4, 2, 2))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InputError):
        read_latent(path, DECODER)


def test_a_file_with_more_than_an_array_is_an_error(tmp_path):
    path = save(tmp_path / "a.npy", random_latent(1, 4, 2, 2))
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InputError, match="65 bytes of data, 64 expected"):
        read_latent(path, DECODER)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_latent(tmp_path / "gone.npy", DECODER)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.npy")
    with pytest.raises(InputError, match="not a regular file"):
        read_latent(tmp_path / "a.npy", DECODER)
