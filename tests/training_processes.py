"""A training in several Python processes of its own, as a launcher starts them."""

import socket
import subprocess
import sys

from training_kills import environment

_LONGEST_S = 120


def start(*arguments: str, num_processes: int = 1, **more: str) -> list[subprocess.Popen[str]]:
    """Python with these arguments in as many processes, and ``more`` in their environment."""
    place: dict[str, str] = {}
    if num_processes > 1:
        place = {
            "WORLD_SIZE": str(num_processes),
            "LOCAL_WORLD_SIZE": str(num_processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(_free_port()),
        }
    return [
        subprocess.Popen(
            [sys.executable, *arguments],
            env=environment() | more | place | _ranks(rank, num_processes),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(num_processes)
    ]


def finish(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Exit status, stdout and stderr of each."""
    ends: list[tuple[int, str, str]] = []
    try:
        for process in processes:
            out, err = process.communicate(timeout=_LONGEST_S)
            ends.append((process.returncode, out, err))
    finally:
        for process in processes:
            process.kill()
    return ends


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _ranks(rank: int, num_processes: int) -> dict[str, str]:
    return {"RANK": str(rank), "LOCAL_RANK": str(rank)} if num_processes > 1 else {}
