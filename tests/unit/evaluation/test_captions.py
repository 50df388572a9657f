import json

import pytest

from dcae_export.errors import InputError
from dcae_export.evaluation.captions import Captions


def test_a_caption_stands_in_a_file_beside_its_picture(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.b.txt").write_text(" a cat, überall \n", encoding="utf-8")
    assert Captions(tmp_path).of("sub/a.b.png") == "a cat, überall"


def test_one_file_may_hold_all_captions_and_then_goes_first(tmp_path):
    (tmp_path / "captions.json").write_text(json.dumps({"sub/a.png": "a dog"}))
    (tmp_path / "b.txt").write_text("not looked at")
    captions = Captions(tmp_path)
    assert captions.of("sub/a.png") == "a dog"
    with pytest.raises(InputError, match=r"captions\.json: holds no caption for b\.png"):
        captions.of("b.png")


def test_a_missing_or_empty_caption_is_named(tmp_path):
    with pytest.raises(InputError, match=r"a\.txt: cannot be read: No such file"):
        Captions(tmp_path).of("a.png")
    (tmp_path / "a.txt").write_text(" \n")
    with pytest.raises(InputError, match=r"a\.txt: holds no caption for a\.png"):
        Captions(tmp_path).of("a.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b'["a"]', "captions are one object"),
        (b'{"a.png": 3}', "the caption of a.png is no text"),
        (b'{"a": "\xff"}', "is no UTF-8"),
    ],
)
def test_a_malformed_file_of_captions_is_an_error_in_one_line(tmp_path, content, message):
    (tmp_path / "captions.json").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        Captions(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_caption_of_megabytes_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("a" * (2**16 + 1))
    with pytest.raises(InputError, match="more than 65536 bytes"):
        Captions(tmp_path).of("a.png")
