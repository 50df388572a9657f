"""Read a bundle, trusting nothing in it."""

import hashlib
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from dcae_export.bundle import graph_file
from dcae_export.bundle.files import open_inside, regular_file_status
from dcae_export.bundle.manifest import (
    FORMAT_VERSION_KEY,
    MANIFEST_NAME,
    MODEL_ID_KEY,
    Golden,
    Graph,
    Manifest,
    Port,
)
from dcae_export.bundle.manifest_file import read_manifest
from dcae_export.errors import BundleError, RefusedError
from dcae_export.files.array_header import MAX_HEADER_BYTES, parse_array_header
from dcae_export.files.folder_swap import previous_path
from dcae_export.files.sha256 import sha256

# Protobuf's own limit; larger weights are external.
_MAX_GRAPH_BYTES = 2**31 - 1
# Golden arrays are made on a grid of six positions, or at the size of a static graph.
_MAX_GOLDEN_BYTES = 2**28
# Exactly what NumPy writes. Its own reader evaluates the header as Python, and fails in other ways than ours.


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphFiles:
    """A graph whose files were checked. ``model`` is what was checked: run it, not what ``path`` holds by then.

    ``digests`` are the sha256 of ``model`` and ``data`` as the manifest lists them, ``has_verified_digests`` whether
    they were compared with the files. A graph outside of a bundle has none.
    """

    model: bytes
    path: Path
    data: tuple[Path, ...]
    graph: Graph
    model_id: str = ""
    digests: tuple[str, ...] = ()
    has_verified_digests: bool = False


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose manifest, paths and sizes were checked; hashes are checked as files are used."""

    path: Path
    manifest: Manifest
    verify_hashes: bool = True

    @classmethod
    def open(cls, path: Path | str, *, verify_hashes: bool = True) -> "Bundle":
        """Open the bundle at ``path``, reading no file of it but the manifest.

        Args:
            path: The bundle's folder.
            verify_hashes: False skips the hashes, never the checks of paths, sizes and graphs.

        Raises:
            BundleError: The bundle is missing, incomplete, malformed or of a newer format.
            RefusedError: It names or contains a way out of its folder.
        """
        root = Path(path)
        if not _is_folder(root):
            _raise_no_folder(root)
        bundle = cls(root, read_manifest(root), verify_hashes)
        for name in bundle.manifest.files:
            bundle._check_size(name, regular_file_status(root, name))
        return bundle

    def check_graph(self, name: str) -> GraphFiles:
        """Check a graph's files before ONNX Runtime sees them.

        Raises:
            BundleError: There is no such graph, or its file is malformed or belongs to another bundle.
            RefusedError: A hash differs, or the graph refers to what it must not.
        """
        graph = next((graph for key, graph in self.manifest.graphs.items() if key == name), None)
        if graph is None:
            found = ", ".join(self.manifest.graphs) or "none"
            raise BundleError(f"{self.path}: no {name} in this bundle; its graphs: {found}")
        model = self._read(graph.path, _MAX_GRAPH_BYTES)
        for data in graph.data:
            self._check_contents(data)
        self._check_scan(graph, model)
        return GraphFiles(
            model=model,
            path=self.path / graph.path,
            data=tuple(self.path / data for data in graph.data),
            graph=graph,
            model_id=self.manifest.model.id,
            digests=tuple(self.manifest.files[name].sha256 for name in (graph.path, *graph.data)),
            has_verified_digests=self.verify_hashes,
        )

    def array(self, name: str, port: Port) -> NDArray[np.generic]:
        """An array of the bundle, of the type and shape that ``port`` has.

        Raises:
            BundleError: The file is no such array.
            RefusedError: Its hash differs.
        """
        data = self._read(name, _MAX_GOLDEN_BYTES)
        try:
            return _decode_array(data, port)
        except ValueError as error:
            raise BundleError(f"{name}: {error}; export the bundle again") from error

    def golden(
        self, case: Golden
    ) -> tuple[dict[str, NDArray[np.generic]], dict[str, NDArray[np.generic]]]:
        """The input and output arrays of a golden case, by the names of the graph's ports.

        Raises:
            BundleError: A file is no array of the port's type and shape.
            RefusedError: A hash differs.
        """
        graph = self.manifest.graphs[case.graph]
        return (
            {port.name: self.array(case.inputs[port.name], port) for port in graph.inputs},
            {port.name: self.array(case.outputs[port.name], port) for port in graph.outputs},
        )

    def time_features(self, sampler: str) -> NDArray[np.generic] | None:
        """The features of the time for each row of a sampler's table, (rows, width) float32.

        None where the transformer takes the times themselves.

        Raises:
            BundleError: The file is no such array, or has two rows of features for one time.
            RefusedError: Its hash differs.
        """
        manifest = self.manifest
        assert manifest.samplers is not None
        table = manifest.samplers.tables[sampler]
        if table.time_features is None:
            return None
        (port,) = (p for p in manifest.graphs["transformer"].inputs if p.name == "time_features")
        shape = (len(table.rows), *port.shape[1:])
        array = self.array(table.time_features, port.model_copy(update={"shape": shape}))
        times = np.array([row.t for row in table.to_table().rows])
        _, first, of_time = np.unique(times, return_index=True, return_inverse=True)
        if not np.array_equal(array, array[first[of_time]]):
            raise BundleError(
                f"{table.time_features}: different features of one time; export the bundle again"
            )
        return array

    def verify(self) -> None:
        """Check everything, hashes included even where the bundle was opened without.

        Raises:
            BundleError: A file is malformed.
            RefusedError: A hash differs, or a graph refers to what it must not.
        """
        strict = replace(self, verify_hashes=True)
        used: set[str] = set()
        for name, graph in strict.manifest.graphs.items():
            strict.check_graph(name)
            used.update((graph.path, *graph.data))
        for case in strict.manifest.golden:
            strict.golden(case)
            used.update((*case.inputs.values(), *case.outputs.values()))
        if strict.manifest.samplers is not None:
            for name in strict.manifest.samplers.tables:
                strict.time_features(name)
        for name in set(strict.manifest.files) - used:
            strict._check_contents(name)

    def _check_size(self, name: str, status: os.stat_result) -> None:
        listed = self.manifest.files[name].bytes
        if status.st_size != listed:
            raise BundleError(
                f"{name}: {status.st_size} bytes, {MANIFEST_NAME} says {listed}; copy the bundle again"
            )

    def _check_hash(self, name: str, digest: str) -> None:
        if digest != self.manifest.files[name].sha256:
            raise RefusedError(
                f"{name}: sha256 differs from {MANIFEST_NAME}; copy or export the bundle again"
            )

    def _check_contents(self, name: str) -> None:
        with open_inside(self.path, name) as file:
            self._check_size(name, os.fstat(file.fileno()))
            if self.verify_hashes:
                self._check_hash(name, sha256(file))

    def _read(self, name: str, limit: int) -> bytes:
        """The bytes of a file, those that were hashed."""
        size = self.manifest.files[name].bytes
        if size > limit:
            raise BundleError(f"{name}: {size} bytes, at most {limit} are read")
        with open_inside(self.path, name) as file:
            self._check_size(name, os.fstat(file.fileno()))
            data = file.read(size)
        if self.verify_hashes:
            self._check_hash(name, hashlib.sha256(data).hexdigest())
        return data

    def _check_scan(self, graph: Graph, model: bytes) -> None:
        try:
            scan = graph_file.scan(model)
        except BundleError as error:
            raise BundleError(f"{graph.path}: {error}") from error
        for external in scan.external:
            self._check_external(graph, external)
        self._check_belongs(graph, scan)
        for domain, operator in sorted(scan.operators):
            if domain or operator not in graph_file.ALLOWED_OPERATORS:
                name = f"{domain}::{operator}" if domain else operator
                raise RefusedError(
                    f"{graph.path}: operator {name[:80]!r} is not one that a bundle may use"
                )

    def _check_external(self, graph: Graph, external: graph_file.ExternalData) -> None:
        folder = graph.path.rpartition("/")[0]
        name = f"{folder}/{external.location}" if folder else external.location
        if name not in graph.data:
            raise RefusedError(
                f"{graph.path}: weights at {external.location[:80]!r}, which {MANIFEST_NAME} does not list "
                "as this graph's data; export the bundle again"
            )
        end = external.offset + (external.length or 0)
        if end > self.manifest.files[name].bytes:
            raise BundleError(
                f"{graph.path}: weights up to byte {end} of {name}, which ends before; "
                "export the bundle again"
            )

    def _check_belongs(self, graph: Graph, scan: graph_file.GraphScan) -> None:
        expected = {
            MODEL_ID_KEY: self.manifest.model.id,
            FORMAT_VERSION_KEY: str(self.manifest.format_version),
        }
        for key, value in expected.items():
            if scan.metadata.get(key) != value:
                raise BundleError(
                    f"{graph.path}: {key} is not that of {MANIFEST_NAME}; files of two bundles were "
                    "mixed, copy the bundle again"
                )
        if scan.opsets.get("") != graph.opset:
            raise BundleError(
                f"{graph.path}: opset {scan.opsets.get('')}, {MANIFEST_NAME} says {graph.opset}"
            )


def _decode_array(data: bytes, port: Port) -> NDArray[np.generic]:
    """An array from the bytes of a .npy file, its header checked before memory is taken."""
    header = parse_array_header(data[:MAX_HEADER_BYTES])
    if header is None or header.is_fortran:
        raise ValueError("its header is not that of a C-ordered array in version 1.0 of the format")
    dtype = np.dtype(port.dtype)
    if header.dtype != dtype.newbyteorder("<").str:
        raise ValueError(f"holds {header.dtype}, {port.dtype} expected")
    if port.axes(header.shape) is None:
        raise ValueError(f"has the shape {header.shape}, {port.shape} expected")
    size = math.prod(header.shape) * dtype.itemsize
    if len(data) - header.start != size:
        raise ValueError(f"has {len(data) - header.start} bytes of data, {size} expected")
    values = np.frombuffer(data, dtype.newbyteorder("<"), offset=header.start)
    if not np.isfinite(values).all():
        raise ValueError("holds values that are not finite")
    return values.astype(dtype).reshape(header.shape)


def _is_folder(path: Path) -> bool:
    # A name that is too long, or a parent that may not be entered, is an error and not a no.
    try:
        return path.is_dir()
    except OSError:
        return False


def _raise_no_folder(root: Path) -> NoReturn:
    previous = previous_path(root) if root.name else root
    if _is_folder(previous) and not root.exists():
        raise BundleError(
            f"{root}: no such folder; its replacement was interrupted, rename {previous} to {root.name}"
        )
    raise BundleError(f"{root}: no such folder; name a bundle's folder")
