"""A web server on this machine that serves the files of a folder."""

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


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


@contextmanager
def serve(
    folder: Path, *, redirect_to: str = "", cut_after: int | None = None, busy: int = 0
) -> Generator[str]:
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
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
