"""The header of a .npy file, read without NumPy's own reader, which evaluates it as Python."""

import re
from dataclasses import dataclass

MAX_HEADER_BYTES = 1024
"""What NumPy writes for an array of numbers fits by far."""

_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00.."
    rb"\{'descr': '(?P<dtype>[<>|=][a-zA-Z][0-9]{0,4})', 'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>(?:[0-9]{1,18},|[0-9]{1,18}(?:, [0-9]{1,18})+)?)\), \} *\n",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayHeader:
    """What a .npy file says of its array: ``dtype`` as NumPy spells it; the values begin at byte ``start``."""

    dtype: str
    is_fortran: bool
    shape: tuple[int, ...]
    start: int


def parse_array_header(head: bytes) -> ArrayHeader | None:
    """Parse the first bytes of a file, at least ``MAX_HEADER_BYTES`` of a longer one.

    Returns:
        The header; None where this is no array of numbers in version 1.0 of NumPy's format.
    """
    found = _HEADER.match(head)
    if found is None or found.end() != 10 + int.from_bytes(head[8:10], "little"):
        return None
    return ArrayHeader(
        dtype=found["dtype"].decode(),
        is_fortran=found["fortran"] == b"True",
        shape=tuple(int(size) for size in found["shape"].replace(b",", b" ").split()),
        start=found.end(),
    )
