"""Bundles of the real exporter beside the networks that they were made from."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import onnx

from dcae_export.bundle.reader import Bundle
from dcae_export.export.exporter import export
from dcae_export.export.options import ExportOptions
from dcae_export.models.network import Network
from dcae_export.models.weights import AutoencoderCheckpoint, load_autoencoder
from dcae_export.runtime.session import Session


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A bundle and the network that it was made from."""

    network: Network
    bundle: Bundle

    def session(self, name: str) -> Session:
        return Session(self.bundle.check_graph(name), threads=1)

    def model(self, name: str) -> onnx.ModelProto:
        return onnx.load(self.bundle.path / f"{name}.onnx", load_external_data=False)


def exported_once(
    folder: Path, checkpoint: AutoencoderCheckpoint, options: ExportOptions
) -> Exported:
    """Write the bundle into a folder."""
    export(checkpoint, folder / "bundle", options)
    return Exported(network=load_autoencoder(checkpoint), bundle=Bundle.open(folder / "bundle"))


def count(model: onnx.ModelProto) -> Counter[str]:
    """How often each operator is in a graph."""
    return Counter(node.op_type for node in model.graph.node)
