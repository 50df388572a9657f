"""A hub on this machine that holds one repository, for programs that are told of it by HF_ENDPOINT."""

import hashlib
import json
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

from local_server import running

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FolderAsRepository(BaseHTTPRequestHandler):
    """What huggingface_hub asks for when it fetches a snapshot of one public repository."""

    repository: str
    folder: Path

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        status, headers, body = self.find(urlsplit(self.path).path)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def find(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a path."""
        model = f"/api/models/{self.repository}"
        files = {
            file.relative_to(self.folder).as_posix(): file.read_bytes()
            for file in self.folder.rglob("*")
            if file.is_file()
        }
        if path == f"{model}/revision/main":
            return _json({"id": self.repository, "sha": COMMIT, "siblings": []})
        if path == f"{model}/tree/{COMMIT}":
            return _json(
                [
                    {"type": "file", "path": name, "size": len(data), "oid": _sha1(data)}
                    for name, data in files.items()
                ]
            )
        name = path.removeprefix(f"/{self.repository}/resolve/{COMMIT}/")
        if name in files:
            headers = {"ETag": f'"{_sha1(files[name])}"', "X-Repo-Commit": COMMIT}
            return 200, headers, files[name]
        return 404, {"X-Error-Code": "RepoNotFound"}, b""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(folder: Path, repository: str) -> AbstractContextManager[str]:
    """Serve a folder as ORG/NAME; gives the endpoint."""
    handler = type(
        "Repository", (FolderAsRepository,), {"repository": repository, "folder": folder}
    )
    return running(handler)


def _json(content: object) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps(content).encode()


def _sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
