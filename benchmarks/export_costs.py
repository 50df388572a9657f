"""Measure an export, and the opening of what it wrote."""

import tempfile
from pathlib import Path

from benchmarks.child_peak import ChildPeak
from benchmarks.process import WorkerProcess

GRAPHS = ("encoder", "decoder")
SIMPLIFIER = "dcae_export.export.simplify_child"


def measure_export(variant: str, work: Path, *, seed: int) -> dict[str, object]:
    """Export ``variant`` from random weights in a fresh process, then open each graph in one of its own.

    Raises:
        WorkerError: The export failed.
    """
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        bundle = Path(folder, "bundle")
        with WorkerProcess() as worker, ChildPeak(worker.pid, mark=SIMPLIFIER) as simplifier:
            cell = worker.call("measure export", variant=variant, folder=str(bundle), seed=seed)
        cell["simplifier_peak_bytes"] = simplifier.bytes
        cell["opening"] = {
            f"{graph}, {'hashed' if verify_hashes else 'not hashed'}": _opening(
                bundle, graph, verify_hashes=verify_hashes
            )
            for graph in GRAPHS
            for verify_hashes in (True, False)
        }
    return cell


def _opening(bundle: Path, graph: str, *, verify_hashes: bool) -> dict[str, object]:
    with WorkerProcess() as worker:
        return worker.call(
            "measure opening", folder=str(bundle), graph=graph, verify_hashes=verify_hashes
        )
