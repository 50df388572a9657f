"""What a float16 bundle takes of the processor's memory, beside what is forecast."""

import dataclasses
import json
import subprocess
import sys

import pytest
from autoencoders import small_checkpoint
from export_factory import TINY

from dcae_export.bundle.reader import Bundle
from dcae_export.export.exporter import export
from dcae_export.export.options import ExportOptions
from dcae_export.models.autoencoder import AutoencoderConfig
from dcae_export.runtime.forecast import run_bytes, weight_bytes
from dcae_export.runtime.provider import Provider

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

WIDER = 16
GRID = 64
# Blocks of the arena that are not filled, and what ONNX Runtime takes for itself: 11 MiB beside a small graph.
SLACK = 1.1
OWN = 12 * 2**20

# Prints what a session and a run of it added to the process, in bytes, as Linux counts them: in kB.
MEASURE = """
import json, sys
from pathlib import Path
import numpy as np
from dcae_export.bundle.reader import Bundle
from dcae_export.runtime.provider import load_onnxruntime
from dcae_export.runtime.session import Session

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))

load_onnxruntime()
files = Bundle.open(sys.argv[1]).check_graph("decoder")
before = status("VmRSS")
session = Session(files, threads=1)
loaded = status("VmRSS")
# Linux: forget the peak of loading.
Path("/proc/self/clear_refs").write_text("5")
session.run({"latent": np.zeros(json.loads(sys.argv[2]), np.float32)})
print(json.dumps([loaded - before, status("VmHWM") - loaded]))
"""


def wider(config: AutoencoderConfig) -> AutoencoderConfig:
    """Wide enough for weights and activations to outweigh what else a process takes."""

    def widened(stages):
        return tuple(dataclasses.replace(stage, width=WIDER * stage.width) for stage in stages)

    return dataclasses.replace(
        config,
        encoder=dataclasses.replace(config.encoder, stages=widened(config.encoder.stages)),
        decoder=dataclasses.replace(config.decoder, stages=widened(config.decoder.stages)),
    )


def test_a_float16_bundle_takes_of_the_processor_what_is_forecast(tmp_path):
    options = ExportOptions(target="cuda", precision="fp16", simplifier="none")
    bundle = Bundle.open(export(small_checkpoint(wider(TINY)), tmp_path / "bundle", options))
    graph = bundle.manifest.graphs["decoder"]
    result = subprocess.run(
        [
            *(sys.executable, "-c", MEASURE, str(bundle.path)),
            json.dumps([1, TINY.latent_channels, GRID, GRID]),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded, run = json.loads(result.stdout)
    weights = {
        provider: weight_bytes(bundle.manifest, graph, provider=provider)
        for provider in (Provider.CPU, Provider.CUDA)
    }
    assert weights[Provider.CUDA] < loaded - OWN < SLACK * weights[Provider.CPU]
    axes = {"batch": 1, "height": GRID, "width": GRID}
    assert run < SLACK * run_bytes(graph, axes, provider=Provider.CPU)
