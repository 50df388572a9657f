"""The manifest of a bundle: the only place that knows its JSON's shape."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from dcae_export.class_name import ClassName
from dcae_export.errors import ConfigError
from dcae_export.random_name import is_random
from dcae_export.sampling import schedule as noise_schedule
from dcae_export.sampling.table import Row, Table

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
# Each .onnx repeats these in its metadata_props, so that a mixed-up file is found.
MODEL_ID_KEY = "dcae.model_id"
FORMAT_VERSION_KEY = "dcae.format_version"
FLOAT32_MAX = 3.4028234663852886e38
MAX_TABLES = 64

GraphName = Literal["encoder", "decoder", "transformer"]
AxisName = Literal["batch", "height", "width"]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
# No component is empty, "." or "..", and none begins with a dot: hidden names are the writer's own.
RELATIVE_PATH_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$"
RelativePath = Annotated[str, StringConstraints(pattern=RELATIVE_PATH_PATTERN, max_length=255)]
# Bounded, so that no product of them is too large to be compared, divided or printed.
Size = Annotated[int, Field(ge=1, le=2**31 - 1)]
Bytes = Annotated[int, Field(ge=0, le=2**63 - 1)]
SymbolicDim = Annotated[
    str, StringConstraints(pattern=r"^([1-9][0-9]{0,8}\*)?(batch|height|width)$")
]
Dim = Size | SymbolicDim
# A list ends at its first error: a megabyte of errors would take gigabytes to collect.
Item = TypeVar("Item")
Items = Annotated[tuple[Item, ...], Field(fail_fast=True)]
# As PyTorch names parts of a network: letters, digits and underscores between dots.
BlockName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$", max_length=255)
]
# What a runtime computes with is float32.
Number = Annotated[float, Field(ge=-FLOAT32_MAX, le=FLOAT32_MAX)]


class Record(BaseModel):
    """A part of the manifest: frozen, and closed to keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Producer(Record):
    """What made the bundle. ``time`` is UTC, as in 2026-01-31T12:00:00Z."""

    package: str
    torch: str
    onnx: str
    time: str


class TransformerModel(Record):
    """Which transformer this is and where its weights came from."""

    preset: str
    weights: str
    weights_sha256: Sha256
    licence: str | None


class Model(Record):
    """Which networks these are and where their weights came from: the autoencoder's, then the transformer's.

    ``id`` identifies the graphs: weights, configuration, exporter options and package version.
    """

    preset: str
    id: Sha256
    weights: str
    weights_sha256: Sha256
    licence: str | None
    transformer: TransformerModel | None

    @property
    def has_random_weights(self) -> bool:
        """Whether the weights of either network were drawn: pictures are noise then."""
        networks = (self, self.transformer)
        return any(one is not None and is_random(one.weights) for one in networks)


class ImageFormat(Record):
    """What the graphs take and give: float32 NCHW in [-1, 1], or uint8 NHWC in [0, 255]."""

    channels: Literal[3]
    dtype: Literal["float32", "uint8"]
    layout: Literal["NCHW", "NHWC"]
    range: tuple[float, float]

    @model_validator(mode="after")
    def _one_of_the_two(self) -> "ImageFormat":
        form = (self.dtype, self.layout, self.range)
        if form not in (("float32", "NCHW", (-1, 1)), ("uint8", "NHWC", (0, 255))):
            raise ValueError("float32 is NCHW in [-1, 1], uint8 is NHWC in [0, 255]")
        return self


class Latent(Record):
    """The latent: a diffusion model sees (z - shift) * scaling_factor; None where it is not published."""

    channels: Size
    downsample: Size
    scaling_factor: Annotated[float, Field(gt=0, le=FLOAT32_MAX)] | None
    shift: Number


class Port(Record):
    """An input or output of a graph. A dimension is INT, NAME or "INT*NAME"; height and width are the latent grid's."""

    name: str
    dtype: Literal["float32", "uint8", "int64"]
    shape: Items[Dim]

    def resolve(self, axes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape for given values of the named axes."""
        sizes = (split_dim(dim) for dim in self.shape)
        return tuple(size if axis is None else size * axes[axis] for size, axis in sizes)

    def axes(self, shape: tuple[int, ...]) -> dict[str, int] | None:
        """The values of the named axes that give ``shape``; None where no values do."""
        found: dict[str, int] = {}
        if len(shape) != len(self.shape):
            return None
        for dim, size in zip(self.shape, shape, strict=True):
            factor, name = split_dim(dim)
            if name is None:
                if factor != size:
                    return None
                continue
            if size % factor or found.setdefault(name, size // factor) != size // factor:
                return None
        return found


def split_dim(dim: Dim) -> tuple[int, str | None]:
    """A dimension as a factor and the axis that it multiplies; a fixed one is its size and None."""
    if isinstance(dim, int):
        return dim, None
    factor, star, name = dim.partition("*")
    return (int(factor), name) if star else (1, factor)


class AxisRange(Record):
    """The values that a named axis may take, both ends included."""

    min: Size
    max: Size

    @model_validator(mode="after")
    def _ordered(self) -> "AxisRange":
        if self.min > self.max:
            raise ValueError(f"min {self.min} is greater than max {self.max}")
        return self


def _is_none(value: object) -> bool:
    return value is None


class Fp32Block(Record):
    """A block of a mixed graph that is float32 as a whole.

    ``max_abs`` is the largest absolute activation that calibration saw in it, too near to float16's end; None where
    every mixed graph of this network has the block in float32.
    """

    block: BlockName
    max_abs: Annotated[float, Field(ge=0, le=FLOAT32_MAX)] | None


class Graph(Record):
    """One ONNX file: ``data`` lists its external weight files, ``ranges`` bounds each named axis.

    Of a graph in ``fp16``, which is float16 between islands of float32, ``fp32_blocks`` lists the blocks that are
    float32 as a whole; a graph in ``fp32`` has no such list.

    ``activation_bytes`` is the sum of the tensors alive at the worst node, for one position of every named
    axis; ``attention_bytes`` that of the attention matrices, which the first leaves out, for one pair of
    positions. Times batch * height * width, and times batch * (height * width) ** 2, they forecast what a run
    needs beyond the weights.
    """

    path: RelativePath
    data: Items[RelativePath]
    target: Literal["generic", "cpu", "cuda", "tensorrt", "web"]
    precision: Literal["fp32", "fp16"]
    fp32_blocks: Items[Fp32Block] | None = Field(default=None, exclude_if=_is_none)
    opset: Annotated[int, Field(ge=18, le=23)]
    activation_bytes: Bytes
    attention_bytes: Bytes
    inputs: Items[Port]
    outputs: Items[Port]
    ranges: dict[AxisName, AxisRange]

    def outside(self, axes: Mapping[str, int]) -> AxisName | None:
        """The first named axis whose value in ``axes`` is out of its range; None where all fit."""
        for name, bounds in self.ranges.items():
            if not bounds.min <= axes[name] <= bounds.max:
                return name
        return None

    def latent_axes(
        self, rows: int, *, channels: int, grid: tuple[int, int]
    ) -> dict[str, int] | None:
        """The named axes of a run over ``rows`` latents; None where the graph does not take them.

        For a graph whose first input is the latent. One of a fixed batch runs full, with fewer rows as well.
        """
        fixed = self.inputs[0].shape[0]
        batch = max(rows, fixed) if isinstance(fixed, int) else rows
        axes = self.inputs[0].axes((batch, channels, *grid))
        return None if axes is None or self.outside(axes) is not None else axes

    @model_validator(mode="after")
    def _a_mixed_graph_lists_its_float32_blocks(self) -> "Graph":
        if (self.precision == "fp32") != (self.fp32_blocks is None):
            raise ValueError("fp32_blocks goes with a precision other than fp32")
        return self

    @model_validator(mode="after")
    def _every_axis_has_a_range(self) -> "Graph":
        given, made = _axis_names(self.inputs), _axis_names(self.outputs)
        names = given | made
        if names != set(self.ranges):
            raise ValueError(f"named axes {sorted(names)} and ranges {sorted(self.ranges)} differ")
        if made - given:
            raise ValueError(f"no input has the named axes {sorted(made - given)} of the outputs")
        return self


def _axis_names(ports: tuple[Port, ...]) -> set[str]:
    axes = (split_dim(dim)[1] for port in ports for dim in port.shape)
    return {axis for axis in axes if axis is not None}


class Schedule(Record):
    """How noise was added in training, see ``dcae_export.sampling.schedule``."""

    kind: Literal["linear", "scaled_linear", "flow"]
    beta_start: float | None
    beta_end: float | None
    train_steps: Annotated[int, Field(ge=2, le=noise_schedule.MAX_TRAIN_STEPS)]
    shift: float


class Diffusion(Record):
    """What the transformer predicts, of what, at which times; ``grid`` is its latent's rows and columns in training."""

    prediction: Literal["epsilon", "velocity", "x0"]
    learned_variance: bool
    schedule: Schedule
    timesteps: tuple[float, float]
    grid: tuple[Size, Size]

    @classmethod
    def of(cls, diffusion: noise_schedule.Diffusion, *, grid: tuple[int, int]) -> "Diffusion":
        """The record of ``diffusion``."""
        parts = diffusion.schedule
        return cls(
            prediction=diffusion.prediction,
            learned_variance=diffusion.learned_variance,
            schedule=Schedule(
                kind=parts.kind,
                beta_start=parts.beta_start,
                beta_end=parts.beta_end,
                train_steps=parts.train_steps,
                shift=parts.shift,
            ),
            timesteps=diffusion.timesteps,
            grid=grid,
        )

    def to_diffusion(self) -> noise_schedule.Diffusion:
        """What the record says, as samplers are made of it."""
        return noise_schedule.Diffusion(
            prediction=self.prediction,
            learned_variance=self.learned_variance,
            schedule=noise_schedule.Schedule(**self.schedule.model_dump()),
        )

    @model_validator(mode="after")
    def _times_are_those_of_the_schedule(self) -> "Diffusion":
        try:
            first, last = self.to_diffusion().timesteps
        except ConfigError as error:
            raise ValueError(str(error)) from error
        if self.timesteps != (first, last):
            raise ValueError(f"timesteps of this schedule are {first:g} and {last:g}")
        return self


class Conditioning(Record):
    """What the transformer is conditioned on. A class model has ``num_classes`` labels and the null label."""

    kind: Literal["none", "class"]
    num_classes: Size | None
    null_label: Size | None
    class_names: Items[ClassName] | None

    @model_validator(mode="after")
    def _classes_are_complete(self) -> "Conditioning":
        counts = [number for number in (self.num_classes, self.null_label) if number is not None]
        if len(counts) != (2 if self.kind == "class" else 0):
            raise ValueError("num_classes and null_label go with the kind class")
        if counts != sorted(counts):
            raise ValueError(f"null_label {self.null_label} is one of {self.num_classes} classes")
        if self.class_names is not None and len(self.class_names) != self.num_classes:
            raise ValueError(f"{len(self.class_names)} class names for {self.num_classes} classes")
        return self


Coefficients = Annotated[Items[Number], Field(min_length=1, max_length=17)]


class SamplerRow(Record):
    """One evaluation of the network: see docs/bundle-format.md. Keys that a row does not need are left out."""

    t: Number
    m: tuple[Number, Number]
    x: Coefficients
    base: Literal["x"] | Coefficients | None = Field(default=None, exclude_if=_is_none)
    s: Annotated[float, Field(ge=0, le=FLOAT32_MAX)] | None = Field(
        default=None, exclude_if=_is_none
    )
    v: tuple[Number, Number] | None = Field(default=None, exclude_if=_is_none)
    start: tuple[Number, Number] | None = Field(default=None, exclude_if=_is_none)

    @model_validator(mode="after")
    def _one_noise(self) -> "SamplerRow":
        if self.s is not None and self.v is not None:
            raise ValueError("a row has s or v, not both")
        return self


class SamplerTable(Record):
    """A sampler as the rows that it evaluates.

    ``time_features`` is a file with a row of features for each of them, where the transformer takes those.
    """

    init: Number
    rows: Annotated[Items[SamplerRow], Field(min_length=1, max_length=1000)]
    time_features: RelativePath | None

    @classmethod
    def of(cls, made: Table, *, time_features: str | None = None) -> "SamplerTable":
        """The record of a table."""
        rows = tuple(SamplerRow(**dataclasses.asdict(row)) for row in made.rows)
        return cls(init=made.init, rows=rows, time_features=time_features)

    def to_table(self) -> Table:
        """The table, to be run."""
        return Table(init=self.init, rows=tuple(Row(**dict(row)) for row in self.rows))

    @model_validator(mode="after")
    def _rows_can_be_walked(self) -> "SamplerTable":
        try:
            self.to_table()
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self


SamplerName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}:[1-9][0-9]{0,3}$")]


class Samplers(Record):
    """The tables by name, and what is used where nothing is said."""

    tables: Annotated[dict[SamplerName, SamplerTable], Field(min_length=1, max_length=MAX_TABLES)]
    default: SamplerName
    default_guidance: Annotated[float, Field(ge=1, le=FLOAT32_MAX)]

    @model_validator(mode="after")
    def _default_is_there(self) -> "Samplers":
        if self.default not in self.tables:
            raise ValueError(f"the default {self.default} is none of the tables")
        return self

    @model_validator(mode="after")
    def _names_tell_the_evaluations(self) -> "Samplers":
        for name, table in self.tables.items():
            if int(name.rpartition(":")[2]) != len(table.rows):
                raise ValueError(f"{name} has {len(table.rows)} rows")
        return self


class Golden(Record):
    """Small arrays that every runtime must reproduce: files by the names of the graph's inputs and outputs."""

    graph: GraphName
    inputs: dict[str, RelativePath]
    outputs: dict[str, RelativePath]


class File(Record):
    """A file of the bundle."""

    sha256: Sha256
    bytes: Bytes


class Bound(Record):
    """A tolerance of ``dcae_export.parity`` as it was when the bundle was judged."""

    relative_l2: float
    max_abs: float
    because: str
    psnr_db: float | None = Field(default=None, exclude_if=_is_none)
    cosine: float | None = Field(default=None, exclude_if=_is_none)


class ParityRecord(Record):
    """One measurement of the gate. ``psnr_db`` is null where the arrays were equal; ``cosine`` stands where it is bounded."""

    graph: GraphName
    input: str
    reference: str
    runtime: str
    max_abs: float
    relative_l2: float
    psnr_db: float | None
    cosine: float | None = Field(default=None, exclude_if=_is_none)
    tolerance: Bound
    verdict: Literal["passed"]


class Simplification(Record):
    """What the simplifier did to a graph: ``outcome`` says why where its result was not used."""

    graph: GraphName
    simplifier: Literal["onnxsim", "onnxslim", "none"]
    outcome: str
    nodes_before: int
    nodes_after: int


class Manifest(Record):
    """A whole manifest. Every file of the bundle but the manifest itself is in ``files``.

    ``diffusion``, ``conditioning``, ``samplers``, ``noise`` and ``model.transformer`` stand beside a transformer,
    and are null without.
    """

    format_version: Literal[1]
    producer: Producer
    model: Model
    image: ImageFormat
    latent: Latent
    diffusion: Diffusion | None
    conditioning: Conditioning | None
    graphs: dict[GraphName, Graph]
    samplers: Samplers | None
    noise: Literal["philox4x32-10-v1"] | None
    golden: Items[Golden]
    simplification: Items[Simplification]
    parity: Items[ParityRecord]
    files: dict[RelativePath, File]

    @model_validator(mode="after")
    def _a_transformer_says_how_it_is_sampled(self) -> "Manifest":
        generates = "transformer" in self.graphs
        described = (self.diffusion, self.conditioning, self.samplers, self.noise)
        parts = (*described, self.model.transformer)
        if any((part is not None) != generates for part in parts):
            raise ValueError(
                "diffusion, conditioning, samplers, noise and model.transformer go with a transformer"
            )
        if generates and ("decoder" not in self.graphs or self.latent.scaling_factor is None):
            raise ValueError("a transformer needs a decoder and latent.scaling_factor")
        return self

    @model_validator(mode="after")
    def _rows_are_such_as_the_transformer_takes(self) -> "Manifest":
        if self.diffusion is None or self.samplers is None:
            return self
        first, last = self.diffusion.timesteps
        for name, table in self.samplers.tables.items():
            if not all(first <= row.t <= last for row in table.rows):
                raise ValueError(f"{name} has a t that is not from {first:g} to {last:g}")
            if not self.diffusion.learned_variance and any(row.v is not None for row in table.rows):
                raise ValueError(f"{name} has v, and the transformer no learned variance")
        return self

    @model_validator(mode="after")
    def _every_named_file_is_listed(self) -> "Manifest":
        named = [name for graph in self.graphs.values() for name in (graph.path, *graph.data)]
        named += [
            name for case in self.golden for name in (*case.inputs.values(), *case.outputs.values())
        ]
        if self.samplers is not None:
            features = (entry.time_features for entry in self.samplers.tables.values())
            named += [name for name in features if name is not None]
        missing = sorted(set(named) - set(self.files))
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise ValueError(f"not listed in files: {missing[0]}{more}")
        return self

    @model_validator(mode="after")
    def _names_differ_on_every_file_system(self) -> "Manifest":
        folded = {name.casefold() for name in self.files}
        if len(folded) != len(self.files):
            raise ValueError("files has two names that differ only in case")
        if MANIFEST_NAME in folded:
            raise ValueError(f"{MANIFEST_NAME} cannot list itself")
        return self

    @model_validator(mode="after")
    def _golden_cases_name_the_graphs_ports(self) -> "Manifest":
        for case in self.golden:
            graph = self.graphs.get(case.graph)
            if graph is None:
                raise ValueError(f"golden case for {case.graph}, which graphs does not have")
            ports = {port.name for port in graph.inputs}, {port.name for port in graph.outputs}
            if (set(case.inputs), set(case.outputs)) != ports:
                raise ValueError(
                    f"golden case does not name the inputs and outputs of {case.graph}"
                )
        return self
