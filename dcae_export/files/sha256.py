"""The digest of a file."""

import hashlib
import io


def sha256(file: io.BufferedReader) -> str:
    """The digest of what is left in ``file``, read in pieces."""
    return hashlib.file_digest(file, "sha256").hexdigest()
