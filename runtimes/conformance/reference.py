"""What a request has to give: docs/bundle-format.md a second time, on ONNX Runtime's plain sessions.

Nothing of ``dcae_export.runtime`` or of the package's sampling loop is used, so that both are held to it as well.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from dcae_export.sampling.noise import latent_noise
from runtimes.conformance.cases import Request

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
_STRENGTH = 0.6


class ReferenceBundle:
    """A bundle that is trusted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}

    def encode(self, picture: Bytes) -> Floats:
        """The raw latent, (1, channels, h, w), of a picture whose sides are multiples of the factor."""
        image = picture[None]
        if self.manifest["image"]["dtype"] == "float32":
            image = image.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(127.5)
            image = image - np.float32(1)
        return self._run("encoder", {"image": np.ascontiguousarray(image)}, 1)

    def decode(self, latent: Floats) -> Bytes:
        """The pictures of raw latents, (N, H, W, 3)."""
        pictures: list[Bytes] = []
        for one in latent:
            (image,) = self._run("decoder", {"latent": one[None]}, 1)
            if image.dtype == np.float32:
                levels = np.float32(127.5) * image + np.float32(128)
                image = np.clip(levels, 0, 255).astype(np.uint8).transpose(1, 2, 0)
            pictures.append(image)
        return np.stack(pictures)

    def generate(self, request: Request, picture: Bytes | None) -> tuple[Floats, Bytes]:
        """The latents in diffusion scale and the pictures of a request, each image by itself."""
        labels = [
            self._label(label) for label in request.labels or (None,) for _ in range(request.count)
        ]
        scale = np.float32(self.manifest["latent"]["scaling_factor"])
        shift = np.float32(self.manifest["latent"]["shift"])
        data = None if picture is None else (self.encode(picture) - shift) * scale
        latents = np.concatenate(
            [self._walk(request, label, request.seed + i, data) for i, label in enumerate(labels)]
        )
        return latents, self.decode(latents / scale + shift)

    def _label(self, label: str | None) -> int | None:
        conditioning = self.manifest["conditioning"]
        if conditioning["kind"] == "none":
            return None
        if label is None:
            return conditioning["null_label"]
        if label.isdecimal():
            return int(label)
        names = [name.casefold() for name in conditioning["class_names"]]
        wanted = label.casefold()
        return next(i for i, name in enumerate(names) if wanted in (name, *name.split(", ")))

    def _walk(self, request: Request, label: int | None, seed: int, data: Floats | None) -> Floats:
        table = self._table(request)
        rows = table["rows"]
        channels, _, _ = shape = self._shape(request)
        network = self._network(request, label, table)

        def noise(stream: int) -> Floats:
            return latent_noise(seed % 2**64, stream=stream, shape=shape)[None]

        first = 0 if data is None else _start_row(rows, request.strength or _STRENGTH)
        u = base = _first_state(table, first, noise(0), data)
        history: list[Floats] = []
        for i, row in enumerate(rows[first:], first):
            both = network(u, i)
            out, r = both[:, :channels], both[:, channels:]
            p, q = row["m"]
            history.insert(0, _times(p, u) + _times(q, out))
            following = _combination(row["x"], base, history)
            if "s" in row:
                following = following + _times(row["s"], noise(i + 1))
            if "v" in row:
                following = following + _deviation(*row["v"], r) * noise(i + 1)
            if "base" in row:
                of_list = row["base"] != "x"
                base = _combination(row["base"], base, history) if of_list else following
            u = following
        return u

    def _table(self, request: Request) -> dict:
        samplers = self.manifest["samplers"]
        return samplers["tables"][request.sampler or samplers["default"]]

    def _shape(self, request: Request) -> tuple[int, int, int]:
        latent = self.manifest["latent"]
        rows, columns = self.manifest["diffusion"]["grid"]
        if request.size is not None:
            columns, rows = (side // latent["downsample"] for side in request.size)
        return latent["channels"], rows, columns

    def _network(
        self, request: Request, label: int | None, table: dict
    ) -> Callable[[Floats, int], Floats]:
        """The guided output at a state and row."""
        conditioning, samplers = self.manifest["conditioning"], self.manifest["samplers"]
        weight = samplers["default_guidance"] if request.guidance is None else request.guidance
        guided = label is not None and weight != 1
        labels = [] if label is None else [label, conditioning["null_label"]][: 1 + guided]
        channels = self.manifest["latent"]["channels"]
        path, rows = table["time_features"], table["rows"]
        features = None if path is None else np.load(self._folder / path)

        def evaluate(u: Floats, i: int) -> Floats:
            count = 1 + guided
            inputs: dict[str, NDArray[np.generic]] = {"latent": np.concatenate([u] * count)}
            if features is None:
                inputs["timestep"] = np.full(count, rows[i]["t"], np.float32)
            else:
                inputs["time_features"] = np.concatenate([features[i : i + 1]] * count)
            if labels:
                inputs["label"] = np.array(labels, np.int64)
            both = self._run("transformer", inputs, count)
            if not guided:
                return both
            chosen, null = both[:1], both[1:]
            mixed = null + np.float32(weight) * (chosen - null)
            return np.concatenate([mixed[:, :channels], chosen[:, channels:]], axis=1)

        return evaluate

    def _run(self, name: str, inputs: dict[str, NDArray[np.generic]], rows: int) -> NDArray:
        graph = self.manifest["graphs"][name]
        fixed = graph["inputs"][0]["shape"][0]
        if isinstance(fixed, int):
            inputs = {
                key: np.concatenate([array, *[array[-1:]] * (fixed - rows)])
                for key, array in inputs.items()
            }
        if name not in self._sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            self._sessions[name] = onnxruntime.InferenceSession(
                self._folder / graph["path"], options, providers=["CPUExecutionProvider"]
            )
        (output,) = self._sessions[name].run(None, inputs)
        return output[:rows]


def _first_state(table: dict, first: int, z: Floats, data: Floats | None) -> Floats:
    if first == 0:
        return _times(table["init"], z)
    assert data is not None
    signal, share = table["rows"][first]["start"]
    return _times(signal, data) + _times(share, z)


def _start_row(rows: list[dict], strength: float) -> int:
    starts = [i for i, row in enumerate(rows) if i == 0 or "start" in row]
    return min(starts, key=lambda i: abs(len(rows) - i - strength * len(rows)))


def _times(coefficient: float, array: Floats) -> Floats:
    return np.float32(coefficient) * array


def _combination(coefficients: list[float], base: Floats, history: list[Floats]) -> Floats:
    total = _times(coefficients[0], base)
    for back, coefficient in enumerate(coefficients[1:]):
        total = total + _times(coefficient, history[min(back, len(history) - 1)])
    return total


def _deviation(lo: float, hi: float, r: Floats) -> Floats:
    low, high = np.float32(lo), np.float32(hi)
    f = (r + np.float32(1)) / np.float32(2)
    half = np.float32(0.5) * (low + f * (high - low))
    return np.exp(half.astype(np.float64)).astype(np.float32)
