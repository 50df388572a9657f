"""The part of webdataset that this package uses; the library's own types are partly unknown."""

from collections.abc import Mapping
from typing import BinaryIO

class TarWriter:
    def __init__(
        self,
        fileobj: BinaryIO,
        user: str = "bigdata",
        group: str = "bigdata",
        *,
        encoder: bool = True,
        mtime: float | None = None,
    ) -> None: ...
    def write(self, obj: Mapping[str, str | bytes]) -> int: ...
    def close(self) -> None: ...
