"""Numbers and texts as protobuf writes them."""

import pytest

from dcae_export.runtime.wire_format import integer, message, text, varint


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**31, "8080808008")],
)
def test_a_varint_has_seven_bits_a_byte(value, expected):
    assert varint(value).hex() == expected


def test_a_field_is_its_number_its_kind_and_its_content():
    assert integer(1, 8).hex() == "0808"
    assert integer(20, 2).hex() == "a00102"
    assert text(2, "ab").hex() == "12026162"
    assert message(7, bytes(200)).hex() == "3ac801" + "00" * 200
