"""Fetch repositories of the Hugging Face hub into plain folders.

Nothing here runs unless a repository was asked for. The hub's own cache is made of symlinks, which a
checkpoint or bundle must not have: files are fetched into a folder that belongs to us.
"""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from dcae_export.errors import HubError, ResourceError
from dcae_export.user_cache import cache_root

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
# Where huggingface_hub keeps what it knows of a folder: hashes and the revision, to fetch only what changed.
_BOOKKEEPING = Path(".cache") / "huggingface"


def is_repository_name(text: str) -> bool:
    """Whether ``text`` reads as ORG/NAME and no local path has that name."""
    return bool(_REPOSITORY.fullmatch(text)) and not Path(text).exists()


def cache_folder(repository: str) -> Path:
    """Where a repository is kept unless told otherwise: ``hub/ORG--NAME`` in the user's cache."""
    return cache_root() / "hub" / repository.replace("/", "--")


def fetch(repository: str, *, into: Path | None = None, allow: tuple[str, ...]) -> Path:
    """Fetch the files of ORG/NAME that match ``allow`` (shell patterns; ``*`` spans folders too).

    An interrupted fetch goes on where it stopped. A folder that was fetched whole is used as it is when
    the hub cannot be reached. Next to the files, ``.cache`` holds the hub client's bookkeeping.

    Raises:
        HubError: The repository cannot be reached or read, or holds no such file.
        ResourceError: The disk is full.
    """
    # Without it the client asks the hub for a list of programs to look for, and reports what it finds.
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from huggingface_hub import (  # noqa: PLC0415
        constants,
        snapshot_download,  # pyright: ignore[reportUnknownVariableType] - partly untyped
    )

    # The variable was read on import, which another package may have done before.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    folder = into if into is not None else cache_folder(repository)
    try:
        snapshot_download(
            repository,
            local_dir=folder,
            # With the revision kept here, a folder is checked for completeness when the hub is out of reach.
            cache_dir=folder / _BOOKKEEPING,
            allow_patterns=list(allow),
        )
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise ResourceError(f"{folder}: no space left on the disk") from error
        raise HubError(f"{repository}: {_reason(error)}") from error
    # The client's errors have no base in common, and transport errors are those of its HTTP library.
    except Exception as error:
        raise HubError(f"{repository}: {_reason(error)}") from error
    if not any(_files(folder)):
        raise HubError(f"{repository}: holds none of {', '.join(allow)}")
    return folder


def _files(folder: Path) -> Iterator[Path]:
    hidden = folder / _BOOKKEEPING
    return (
        path for path in folder.rglob("*") if path.is_file() and not path.is_relative_to(hidden)
    )


def _reason(error: Exception) -> str:
    from huggingface_hub import errors  # noqa: PLC0415

    match error:
        case errors.GatedRepoError():
            return "its conditions must be accepted on the hub; then set HF_TOKEN"
        case errors.RepositoryNotFoundError():
            return "no such repository, or it is private: check the name, or set HF_TOKEN"
        case errors.HfHubHTTPError():
            return f"the hub refused: {_first_line(error)}"
        case errors.LocalEntryNotFoundError():
            return f"the hub cannot be reached: {_first_line(error.__cause__ or error)}"
        case errors.HFValidationError():
            return "no valid repository name"
        case _:
            return f"cannot be fetched: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
