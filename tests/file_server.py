"""A web server on this machine that serves the files of a folder."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from local_server import running


class _Folder(BaseHTTPRequestHandler):
    folder: Path
    redirect_to: str
    cut_after: int | None
    refusals: Iterator[int]

    def do_GET(self) -> None:
        path = self.folder / self.path.removeprefix("/")
        if self.path == "/redirected":
            self.send_response(302)
            self.send_header("Location", self.redirect_to)
            self.end_headers()
        elif next(self.refusals, None) is not None:
            self.send_error(503)
        elif path.is_file():
            data = path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: self.cut_after])
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(
    folder: Path, *, redirect_to: str = "", cut_after: int | None = None, busy: int = 0
) -> AbstractContextManager[str]:
    """Serve a folder; gives the address.

    ``/redirected`` leads elsewhere, answers end after ``cut_after`` bytes, and the first ``busy`` are refusals.
    """
    members = {
        "folder": folder,
        "redirect_to": redirect_to,
        "cut_after": cut_after,
        "refusals": iter(range(busy)),
    }
    handler = type("Folder", (_Folder,), members)
    return running(handler)
