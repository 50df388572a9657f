"""Walk a sampler's table with the state on the session's device: the network and the update both find it there."""

import contextlib
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

import numpy as np

from dcae_export.runtime.bound_graph import BoundGraph
from dcae_export.runtime.guidance import GuidedNetwork, Latents
from dcae_export.runtime.update_graph import UpdateForm, coefficients, update_graph
from dcae_export.sampling.table import Advanced, OnStep, Row, Table, remembered, walk

if TYPE_CHECKING:
    from onnxruntime import OrtValue


def sample_on_device(
    table: Table,
    *,
    network: GuidedNetwork,
    noise: Callable[[int], Latents],
    on_step: OnStep | None = None,
    init_latent: Latents | None = None,
    first_row: int = 0,
) -> Latents:
    """``sampling.table.sample`` for a guided network, without copying the state between its evaluations.

    Noise goes to the device, and of each row one number comes back: whether the state is finite.

    Raises:
        DcaeError: As ``sampling.table.sample`` and ``Session.run``.
    """
    first = noise(0)
    with _on_device(network, first) as device:
        return walk(
            table,
            arithmetic=device,
            network=device.evaluate,
            noise=lambda stream: first if stream == 0 else noise(stream),
            on_step=on_step,
            init_latent=init_latent,
            first_row=first_row,
        )


@contextlib.contextmanager
def _on_device(network: GuidedNetwork, first: Latents) -> Generator["_OnDevice"]:
    axes = network.axes(first)
    with network.session.bound(axes) as graph:
        yield _OnDevice(network, graph, images=len(first))


class _OnDevice:
    """The network and the arithmetic of one walk."""

    def __init__(self, network: GuidedNetwork, graph: BoundGraph, *, images: int) -> None:
        self._network = network
        self._graph = graph
        self._memory = network.session.device
        rows = graph.inputs["latent"].shape()[0]
        halves = 2 if network.is_guided else 1
        every = np.arange(images)
        # Rows of a fixed batch that are left over hold the last image again.
        self._latent_rows = np.append(
            np.tile(every, halves), np.full(rows - halves * images, images - 1)
        )
        self._indices = {
            "label_rows": self._memory.put(every),
            "latent_rows": self._memory.put(self._latent_rows),
        }
        if network.is_guided:
            self._indices["null_rows"] = self._memory.put(every + images)
        labels = network.row_labels(images, rows)
        if labels is not None:
            graph.write("label", labels)

    def evaluate(self, state: "OrtValue", t: float) -> "OrtValue":  # noqa: ARG002
        """The network's output at the state, whose rows lie in its input since they were made."""
        name, times = self._network.times(t, len(self._latent_rows))
        self._graph.write(name, times)
        self._graph.run()
        return self._graph.outputs["output"]

    def place(self, array: Latents) -> "OrtValue":
        self._graph.write("latent", array[self._latent_rows])
        return self._memory.put(array)

    def advance(
        self,
        row: Row,
        *,
        state: "OrtValue",
        base: "OrtValue",
        history: tuple["OrtValue", ...],
        output: "OrtValue",
        z: Latents | None,
    ) -> Advanced["OrtValue"]:
        form = UpdateForm.of(
            row,
            past=len(history),
            guided=self._network.is_guided,
            halves=output.shape()[1] != state.shape()[1],
        )
        arrays = {
            **self._indices,
            "coefficients": self._memory.put(coefficients(row, guidance=self._network.guidance)),
            "output": output,
            "state": state,
            "base": base,
            **{f"past{back + 1}": remembered(history, back) for back in range(form.num_past)},
        }
        if z is not None:
            arrays["z"] = self._memory.put(z)
        made = self._run(form, arrays)
        if row.base is not None:
            base = made["next_state"] if row.base == "x" else made["next_base"]
        return Advanced(
            state=made["next_state"],
            base=base,
            converted=made["converted"],
            is_finite=bool(np.isfinite(made["check"].numpy()).all()),
        )

    def fetch(self, state: "OrtValue") -> Latents:
        return np.array(state.numpy(), np.float32)

    def _run(self, form: UpdateForm, arrays: dict[str, "OrtValue"]) -> dict[str, "OrtValue"]:
        session = self._network.session
        graph = session.beside(update_graph(form))
        binding = graph.io_binding()
        for name, value in arrays.items():
            binding.bind_ortvalue_input(name, value)
        made = ["next_state", "converted", *(["next_base"] if form.base_terms is not None else [])]
        for name in made:
            binding.bind_output(name, self._memory.kind, self._memory.number)
        # The network's next input, at its place.
        binding.bind_ortvalue_output("latent", self._graph.inputs["latent"])
        binding.bind_output("check", "cpu")
        with session.failures("the update of the state"):
            graph.run_with_iobinding(binding)
        return dict(zip([*made, "latent", "check"], binding.get_outputs(), strict=True))
