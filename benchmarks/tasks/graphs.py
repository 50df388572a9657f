"""Look into graphs: which operators they have, and where their time goes."""

import json
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from dcae_export.runtime.session import session_options

KERNEL = "_kernel_time"


def count_operators(path: str) -> dict[str, object]:
    """How often each operator stands in a graph."""
    model = onnx.load(path, load_external_data=False)
    return dict(Counter(node.op_type for node in model.graph.node).most_common())


def profile(path: str, shape: list[int]) -> dict[str, object]:
    """Seconds by operator of one run after a first one, and that run's total.

    The options are those of the project's own sessions.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(threads=None)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder, "profile"))
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        feed = {
            session.get_inputs()[0].name: np.random.default_rng(0).standard_normal(
                shape, dtype=np.float32
            )
        }
        for _ in range(2):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    run = [event for event in events if event["name"] == "model_run"][-1]
    seconds: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for event in events:
        if event["ts"] >= run["ts"] and event["name"].endswith(KERNEL):
            label = _label(event["args"])
            seconds[label] += event["dur"] / 1e6
            calls[label] += 1
    return {
        "seconds": run["dur"] / 1e6,
        "operators": {
            label: {"seconds": spent, "calls": calls[label]}
            for label, spent in seconds.most_common()
        },
    }


def _label(node: dict[str, object]) -> str:
    """The operator's name; for a convolution with the sides of its kernel."""
    operator = str(node["op_name"])
    inputs = node["input_type_shape"]
    if "Conv" not in operator or not isinstance(inputs, list) or len(inputs) < 2:
        return operator
    ((_, kernel),) = inputs[1].items()
    return f"{operator} {'x'.join(str(side) for side in kernel[2:])}"
