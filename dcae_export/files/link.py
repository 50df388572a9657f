"""What leads to another place: links, and Windows' junctions."""

import os
import stat

# Windows' junctions lead elsewhere as links do, yet lstat does not call them links.
_JUNCTION_TAG = 0xA0000003


def is_link(status: os.stat_result) -> bool:
    """Whether an lstat result is of something that leads to another place."""
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == _JUNCTION_TAG
