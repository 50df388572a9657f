"""Where shards are, and how they are opened: local files and web addresses, nothing else.

WebDataset's own opener runs commands (``pipe:``, ``gs:`` and others) and rewrites addresses by an environment
variable. What a recipe names is opened here instead.
"""

import http.client
import re
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, cast
from urllib.parse import urlsplit

from dcae_export.errors import InputError, RefusedError, UsageError

# The largest published sets have some ten thousand; a slip in a pattern should not fill the memory.
MAX_SHARDS: Final = 1_000_000
_SUFFIX: Final = ".tar"
_TIMEOUT_S: Final = 60.0
# One letter before a colon is a drive of Windows.
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_RANGE: Final = re.compile(r"\{(\d+)\.\.(\d+)\}")
# Over two minutes in all: a server that is restarted should not cost a run its shards.
_RETRIES_AFTER_S: Final = (1.0, 10.0, 120.0)
_CLIENT_ERRORS: Final = range(400, 500)


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalShard:
    """A shard on this machine."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, kw_only=True, slots=True)
class WebShard:
    """A shard at an http or https address."""

    url: str

    def __str__(self) -> str:
        # What signs an address stands in its query, and passwords before the host: neither is for logs.
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


Shard = LocalShard | WebShard


def find_shards(pattern: str) -> tuple[Shard, ...]:
    """The shards that a folder, a path or an address names; a range in braces names many.

    ``sets/ffhq`` is every ``.tar`` in that folder, by name; ``sets/sam-{000000..000999}.tar`` is a thousand
    files, their numbers as long as the first. An address is written alike.

    Raises:
        RefusedError: The pattern would run a command.
        UsageError: An unknown scheme, braces without a range, or too many shards.
        InputError: A local shard is not there, or the folder holds none.
    """
    names = list(islice(_expanded(pattern), MAX_SHARDS + 1))
    if len(names) > MAX_SHARDS:
        raise UsageError(f"{pattern}: names more than {MAX_SHARDS} shards; check its range")
    return tuple(shard for name in names for shard in _find(name))


def open_shard(shard: Shard) -> BinaryIO:
    """Open a shard for reading from its beginning to its end; an address is tried several times.

    Raises:
        OSError: It cannot be opened, or is no regular file.
        ValueError: Its address is malformed.
        http.client.HTTPException: The server does not answer as one does.
    """
    match shard:
        case LocalShard(path=path):
            # A pipe or device would block or never end, so this is asked before opening.
            if not stat.S_ISREG(path.stat().st_mode):
                raise OSError(f"{path}: not a regular file")
            return path.open("rb")
        case WebShard(url=url):
            return _open_web(url)


def _expanded(pattern: str) -> Iterator[str]:
    """Each name that the ranges of a pattern make, the last range's numbers first."""
    found = _RANGE.search(pattern)
    if found is None:
        if "{" in pattern:
            raise UsageError(f"{pattern}: braces without a range; write {{000..123}}")
        yield pattern
        return
    first, last = found[1], found[2]
    before, after = pattern[: found.start()], pattern[found.end() :]
    for number in range(int(first), int(last) + 1):
        yield from _expanded(f"{before}{number:0{len(first)}d}{after}")


def _find(name: str) -> list[Shard]:
    scheme = _SCHEME.match(name)
    if scheme is None:
        return _find_local(Path(name).expanduser())
    match scheme[1].lower():
        case "http" | "https":
            return [WebShard(url=name)]
        case "pipe":
            raise RefusedError(
                f"{name}: shards are never read from commands; write them to files and give those"
            )
        case other:
            raise UsageError(f"{name}: {other}: is not read; give a path, http: or https:")


def _find_local(path: Path) -> list[Shard]:
    if path.is_dir():
        inside = sorted(shard for shard in path.iterdir() if shard.suffix == _SUFFIX)
        if not inside:
            raise InputError(f"{path}: holds no {_SUFFIX} files; see dcae shards --help")
        return [LocalShard(path=shard) for shard in inside]
    if not path.exists():
        raise InputError(f"{path}: no such shard; check the path, and the range in braces")
    return [LocalShard(path=path)]


def _open_web(url: str) -> BinaryIO:
    for pause in (*_RETRIES_AFTER_S, None):
        try:
            response: object = _web_opener().open(url, timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            error.close()
            if pause is None or error.code in _CLIENT_ERRORS:
                raise
        except (OSError, http.client.HTTPException):
            if pause is None:
                raise
        else:
            assert isinstance(response, http.client.HTTPResponse)
            return cast("BinaryIO", response)
        time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _web_opener() -> urllib.request.OpenerDirector:
    """An opener that knows http and https only, whatever an answer redirects to."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener
