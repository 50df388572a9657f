"""Protobuf's wire format, as far as an ONNX file of a few nodes needs it: the runtime does without onnx.

A message is its fields one after the other; the numbers of the fields are those of onnx.proto.
"""

_VARINT, _LENGTH_DELIMITED = 0, 2


def integer(field: int, number: int) -> bytes:
    """A field that is a number from 0."""
    return varint(field << 3 | _VARINT) + varint(number)


def text(field: int, content: str) -> bytes:
    """A field that is a text."""
    return message(field, content.encode())


def message(field: int, content: bytes) -> bytes:
    """A field that is a message, or bytes."""
    return varint(field << 3 | _LENGTH_DELIMITED) + varint(len(content)) + content


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)
