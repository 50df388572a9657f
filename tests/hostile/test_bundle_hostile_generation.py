"""What a manifest says of generation, where it cannot be, contradicts the rest, or is meant to do harm.

The rule of all: one printable line of the right error before a graph is loaded, and never another exception. As
warnings are errors here, an overflow that would print one is found as well.
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bundle_factory import CHANNELS, edit_manifest, replace_file
from gaussian_data import DIT, SIT, UVIT
from generation_factory import FEATURES, GRID, NUM_CLASSES, fix_sizes, write_generating_bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from program import run_here

from dcae_export.bundle import manifest_file
from dcae_export.bundle.reader import Bundle
from dcae_export.bundle.sampler_edit import edit_samplers
from dcae_export.errors import (
    BundleError,
    DcaeError,
    ParityError,
    RefusedError,
    ResourceError,
    UsageError,
)
from dcae_export.pictures.picture_file import write_picture
from dcae_export.runtime import pipeline
from dcae_export.runtime.pipeline import Pipeline

Edit = Callable[[dict], object]

# The largest float32, and a number of which float32 makes infinity.
LARGEST = 3.4028234663852886e38
TOO_LARGE = 3.5e38
ESCAPES = "\x1b]0;owned\x07\x1b[2J\nbundle: all good\u202e"
FEATURE_FILE = "samplers/ddim-3.npy"


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Bundles to take copies of: with classes, with a learned variance, without classes, with time features."""
    folder = tmp_path_factory.mktemp("originals")
    return {
        "class": write_generating_bundle(folder / "class", UVIT, "ddim:3", "dpmpp-2m:4"),
        "variance": write_generating_bundle(folder / "variance", DIT, "ddpm:3"),
        "none": write_generating_bundle(folder / "none", SIT, "euler:3", num_classes=None),
        "features": write_generating_bundle(folder / "features", UVIT, "ddim:3", features=True),
    }


@pytest.fixture
def copied(originals: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(originals[name], tmp_path / name))

    return copy


@pytest.fixture
def bundle(copied: Callable[[str], Path]) -> Path:
    return copied("class")


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is loaded, and no noise is drawn."""

    def work(*_: object, **__: object) -> None:
        raise AssertionError("work before the check")

    monkeypatch.setattr(pipeline, "Session", work)
    monkeypatch.setattr(pipeline, "latent_noise", work)


def one_line(error: BaseException) -> str:
    message = str(error)
    assert message.isprintable()
    assert len(message) < 500
    return message


def refused_at_opening(bundle: Path, kind: type[DcaeError] = BundleError) -> str:
    with pytest.raises(kind, match=r"^manifest\.json: ") as caught:
        Bundle.open(bundle)
    return one_line(caught.value)


def refused_at_generation(bundle: Path, kind: type[DcaeError], **request: object) -> str:
    with pytest.raises(kind) as caught:
        Pipeline.open(bundle).generate(**({"labels": [None]} | request))
    return one_line(caught.value)


def of_table(edit: Edit, name: str = "ddim:3") -> Edit:
    return lambda content: edit(content["samplers"]["tables"][name])


def of_row(number: int, **values: object) -> Edit:
    return of_table(lambda table: table["rows"][number].update(values))


def of_part(*keys: str, **values: object) -> Edit:
    """Set ``values`` in the object that the keys lead to."""

    def edit(content: dict) -> None:
        for key in keys:
            content = content[key]
        content.update(values)

    return edit


@pytest.mark.parametrize("name", ["class", "variance", "none", "features"])
def test_the_bundles_that_the_others_damage_generate(originals, name):
    opened = Pipeline.open(originals[name])
    opened.bundle.verify()
    for sampler in opened.samplers.tables:
        pictures = opened.generate([None, None], sampler=sampler)
        assert pictures.shape == (2, 2 * GRID[0], 2 * GRID[1], 3)
        assert not np.array_equal(*pictures)


# ----------------------------------------------------------------------------------------- rows

ROWS: dict[str, tuple[Edit, str]] = {
    "x reaches back too far": (of_row(0, x=[1, 1, 1]), "row 0 .* uses the last 2 evaluations"),
    "base reaches back too far": (of_row(1, base=[1, 0, 0, 1]), "uses the last 3 evaluations"),
    "m of three": (of_row(0, m=[1, 1, 1]), r"rows\.0\.m: Tuple should have at most 2 items"),
    "m of one": (of_row(0, m=[1]), r"rows\.0\.m\.1: Field required"),
    "eighteen numbers": (of_row(2, x=[1] * 18), r"rows\.2\.x: .* at most 17 items"),
    "a hundred thousand numbers": (of_row(2, x=[1] * 10**5), r"rows\.2\.x: .* at most 17 items"),
    "no numbers": (of_row(2, x=[]), r"rows\.2\.x: .* at least 1 item"),
    "a base of no numbers": (of_row(2, base=[]), r"rows\.2\.base"),
    "a base of another name": (of_row(2, base="u"), r"rows\.2\.base"),
    "x beyond float32": (of_row(0, x=[TOO_LARGE, 1]), r"rows\.0\.x\.0: Input should be less than"),
    "m beyond float32": (of_row(0, m=[-TOO_LARGE, 1]), r"rows\.0\.m\.0: .* greater than"),
    "s beyond float32": (of_row(0, s=1e300), r"rows\.0\.s: .* less than"),
    "v beyond float32": (of_row(0, v=[0, 1e39]), r"rows\.0\.v\.1: .* less than"),
    "start beyond float32": (of_row(1, start=[1e39, 0]), r"rows\.1\.start\.0: .* less than"),
    "an integer of 400 digits": (of_row(0, x=[10**400, 1]), r"rows\.0\.x\.0"),
    "a negative s": (of_row(0, s=-0.1), r"rows\.0\.s: .* greater than or equal to 0"),
    "s and v": (of_row(0, s=0.1, v=[0, 1]), "a row has s or v, not both"),
    "v without learned variance": (of_row(0, v=[0, 1]), "ddim:3 has v, and the transformer no"),
    "a start in the first row": (of_row(0, start=[1, 0]), "no step begins at row 0"),
    "a start inside a step": (
        of_table(lambda table: table["rows"][0].pop("base")),
        "no step begins at row 1",
    ),
    "t above": (of_row(0, t=1000.5), "ddim:3 has a t that is not from 1 to 1000"),
    "t below": (of_row(0, t=0.5), "ddim:3 has a t that is not from 1 to 1000"),
    "t in words": (of_row(0, t="999"), r"rows\.0\.t: Input should be a valid number"),
    "an unknown key": (of_row(0, w=1), r"rows\.0\.w: unknown key"),
    "init beyond float32": (of_table(lambda table: table.update(init=1e39)), "init: .* less than"),
    "no rows": (of_table(lambda table: table.update(rows=[])), "rows: .* at least 1 item"),
    "1001 rows": (
        of_table(lambda table: table.update(rows=table["rows"][:1] * 1001)),
        "rows: .* at most 1000 items",
    ),
    "another number of rows than the name says": (
        of_table(lambda table: table["rows"].pop()),
        "ddim:3 has 2 rows",
    ),
}


@pytest.mark.parametrize(("edit", "message"), ROWS.values(), ids=ROWS)
def test_a_row_that_no_runtime_could_follow_is_found_at_opening(bundle, edit, message):
    edit_manifest(bundle, edit)
    assert re.search(message, refused_at_opening(bundle))


OVERFLOWS: dict[str, Edit] = {
    "s": of_row(1, s=LARGEST),
    "x": of_row(1, x=[LARGEST, LARGEST]),
    "x of the last row": of_row(2, x=[-LARGEST, LARGEST]),
    "m": of_row(0, m=[LARGEST, -LARGEST]),
    "base": of_table(
        lambda table: (
            table["rows"][0].update(base=[LARGEST, LARGEST]),
            table["rows"][1].pop("start"),
        )
    ),
    "init": of_table(lambda table: table.update(init=LARGEST)),
    "guidance": of_part("samplers", default_guidance=LARGEST),
    "a scaling factor that float32 takes for 0": of_part("latent", scaling_factor=1e-300),
    "a scaling factor that overflows": of_part("latent", scaling_factor=1e-38, shift=LARGEST),
}


@pytest.mark.parametrize("edit", OVERFLOWS.values(), ids=OVERFLOWS)
def test_numbers_that_overflow_in_the_run_never_become_a_picture(bundle, edit):
    edit_manifest(bundle, edit)
    message = refused_at_generation(bundle, ParityError, labels=[1])
    assert "finite" in message
    assert "nothing was written" in message


@pytest.mark.parametrize("bounds", [(LARGEST, LARGEST), (-LARGEST, LARGEST), (1000, 1000)])
def test_a_variance_that_overflows_never_becomes_a_picture(copied, bounds):
    bundle = copied("variance")
    edit_manifest(bundle, of_table(lambda table: table["rows"][0].update(v=bounds), "ddpm:3"))
    assert "no finite latent" in refused_at_generation(bundle, ParityError)


# ------------------------------------------------------------------------------------ contradictions

DIFFUSIONS: dict[str, tuple[Edit, str]] = {
    "a flow of betas": (of_part("diffusion", "schedule", kind="flow"), "a flow has no betas"),
    "betas of null": (of_part("diffusion", "schedule", beta_end=None), "needs beta_start and"),
    "betas that fall": (of_part("diffusion", "schedule", beta_start=0.5), "betas rise"),
    "a beta of 0": (of_part("diffusion", "schedule", beta_start=0), "betas rise"),
    "a beta of 1": (of_part("diffusion", "schedule", beta_end=1), "betas rise"),
    "betas that add nothing": (of_part("diffusion", "schedule", beta_start=1e-20), "no noise"),
    "betas that leave nothing": (of_part("diffusion", "schedule", beta_end=0.9), "no data"),
    "a shift over betas": (of_part("diffusion", "schedule", shift=3), "only a flow is shifted"),
    "a shift of 0": (of_part("diffusion", "schedule", shift=0), "shift is a positive number"),
    "one training step": (of_part("diffusion", "schedule", train_steps=1), r"\.train_steps: "),
    "more training steps than memory": (
        of_part("diffusion", "schedule", train_steps=10**12),
        r"diffusion\.schedule\.train_steps: Input should be less than or equal to 100000",
    ),
    "an unknown schedule": (of_part("diffusion", "schedule", kind="cosine"), r"schedule\.kind: "),
    "a velocity over betas": (of_part("diffusion", prediction="velocity"), "over a flow"),
    "times that are not those of the schedule": (
        of_part("diffusion", timesteps=[0, 999]),
        "timesteps of this schedule are 1 and 1000",
    ),
    "times that fall": (of_part("diffusion", timesteps=[1000, 1]), "timesteps of this schedule"),
    "a grid of 0": (of_part("diffusion", grid=[0, 3]), r"diffusion\.grid\.0: "),
    "a grid of one number": (of_part("diffusion", grid=[3]), r"diffusion\.grid\.1: "),
    "a grid that the graphs do not take": (
        of_part("diffusion", grid=[10**9, 10**9]),
        r"graphs\.transformer: it has to take latents of 1000000000 x 1000000000",
    ),
    "a grid that the decoder does not take": (
        of_part("diffusion", grid=[9, 3]),
        r"graphs\.decoder: it has to take latents of 9 x 3",
    ),
    "a grid of 400 digits": (of_part("diffusion", grid=[10**400, 3]), r"diffusion\.grid\.0: "),
}

CONDITIONINGS: dict[str, tuple[Edit, str]] = {
    "classes of no class model": (of_part("conditioning", kind="none"), "go with the kind class"),
    "no null label": (of_part("conditioning", null_label=None), "go with the kind class"),
    "no classes": (of_part("conditioning", num_classes=None), "go with the kind class"),
    "an unknown kind": (of_part("conditioning", kind="text"), r"conditioning\.kind: "),
    "a class for null label": (of_part("conditioning", null_label=2), "null_label 2 is one of 5"),
    "a negative null label": (of_part("conditioning", null_label=-1), r"\.null_label: "),
    "a null label beyond int64": (of_part("conditioning", null_label=2**70), r"\.null_label: "),
    "2^40 classes": (of_part("conditioning", num_classes=2**40), r"\.num_classes: "),
    "a name too few": (of_part("conditioning", class_names=["one"]), "1 class names for 5"),
    "a name too many": (of_part("conditioning", class_names=["a"] * 6), "6 class names for 5"),
    "names with escapes": (
        of_part("conditioning", class_names=[ESCAPES] * NUM_CLASSES),
        r"class_names\.0: .* cannot be printed",
    ),
    "names of two lines": (
        of_part("conditioning", class_names=["goldfish\nmacaw"] * NUM_CLASSES),
        r"class_names\.0: .* cannot be printed",
    ),
    "a name of megabytes": (
        of_part("conditioning", class_names=["a" * 2**21] * 1),
        r"class_names\.0: .* at most 200 characters",
    ),
    "an empty name": (
        of_part("conditioning", class_names=[""] * NUM_CLASSES),
        r"class_names\.0: .* at least 1 character",
    ),
}

SAMPLERS: dict[str, tuple[Edit, str]] = {
    "no tables": (of_part("samplers", tables={}), "at least 1 item"),
    "a default that is not there": (of_part("samplers", default="ddim:9"), "ddim:9 is none of"),
    "a default that is no name": (of_part("samplers", default=ESCAPES), r"samplers\.default: "),
    "a guidance below 1": (of_part("samplers", default_guidance=0.5), "greater than or equal to 1"),
    "a negative guidance": (of_part("samplers", default_guidance=-3), "greater than or equal to 1"),
    "a guidance beyond float32": (of_part("samplers", default_guidance=1e39), "less than"),
    "a name with escapes": (
        lambda content: content["samplers"]["tables"].update(
            {ESCAPES: content["samplers"]["tables"]["ddim:3"]}
        ),
        r"samplers\.tables\..*owned",
    ),
    "65 tables": (
        lambda content: content["samplers"]["tables"].update(
            {f"ddim{i}:3": content["samplers"]["tables"]["ddim:3"] for i in range(63)}
        ),
        "at most 64 items",
    ),
    "time features of a transformer that takes times": (
        of_table(lambda table: table.update(time_features="golden/latent.npy")),
        "time_features are its input just where ddim:3 has them",
    ),
}

PARTS: dict[str, tuple[Edit, str]] = {
    **{
        f"{name} of null": (lambda content, name=name: content.update({name: None}), "go with a")
        for name in ("diffusion", "conditioning", "samplers", "noise")
    },
    "weights of null": (of_part("model", transformer=None), "go with a transformer"),
    "no transformer": (
        lambda content: content["graphs"].pop("transformer"),
        "go with a transformer",
    ),
    "no decoder": (
        lambda content: (content["graphs"].pop("decoder"), content.update(golden=[])),
        "a transformer needs a decoder",
    ),
    "an unknown noise": (lambda content: content.update(noise="mt19937"), "noise: Input should be"),
    "a noise with escapes": (lambda content: content.update(noise=ESCAPES), "noise: "),
    "no scaling factor": (
        of_part("latent", scaling_factor=None),
        r"needs a decoder and latent\.scaling_factor",
    ),
    "a scaling factor of 0": (of_part("latent", scaling_factor=0), "greater than 0"),
    "a negative scaling factor": (of_part("latent", scaling_factor=-0.5), "greater than 0"),
    "a scaling factor beyond float32": (of_part("latent", scaling_factor=1e39), "less than"),
    "a shift beyond float32": (of_part("latent", shift=-1e39), "greater than"),
    "latents of other channels": (
        of_part("latent", channels=CHANNELS + 1),
        r"graphs\.(decoder|transformer): its inputs have to be latent float32 \[batch, 5, ",
    ),
}

CONTRADICTIONS = {
    f"{part}: {name}": case
    for part, cases in (
        ("diffusion", DIFFUSIONS),
        ("conditioning", CONDITIONINGS),
        ("samplers", SAMPLERS),
        ("parts", PARTS),
    )
    for name, case in cases.items()
}


@pytest.mark.parametrize(("edit", "message"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_what_cannot_be_generated_with_is_found_at_opening(bundle, edit, message):
    edit_manifest(bundle, edit)
    assert re.search(message, refused_at_opening(bundle))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
@pytest.mark.parametrize("key", ["default_guidance", "scaling_factor", "init", "t", "beta_end"])
def test_a_number_that_is_not_finite_is_found_at_opening(bundle, key, number):
    path = bundle / "manifest.json"
    before, found, after = path.read_text().partition(f'"{key}": ')
    assert found
    value = after[: min(after.index(mark) for mark in ",}" if mark in after)]
    path.write_text(before + found + number + after.removeprefix(value))
    refused_at_opening(bundle)


FLOODS: dict[str, tuple[Edit, str]] = {
    "items": (
        of_part("conditioning", class_names=[1] * 10**5),
        r"conditioning\.class_names\.0: Input should be a valid string$",
    ),
    "rows": (
        of_table(lambda table: table.update(rows=[{}] * 1000)),
        r"samplers\.tables\.ddim:3\.rows\.0\.t: Field required \(and \d more\)$",
    ),
    "keys": (
        lambda content: content.update(dict.fromkeys(map(str, range(300)))),
        "keys in one object, at most 256 are read",
    ),
    "keys of several objects": (
        of_part(
            "samplers", tables={f"a{i}:1": dict.fromkeys(map(str, range(99))) for i in range(64)}
        ),
        r"manifest\.json: \d{4} errors$",
    ),
}


@pytest.mark.parametrize(("edit", "message"), FLOODS.values(), ids=FLOODS)
def test_errors_are_not_collected_by_the_million(bundle, edit, message):
    edit_manifest(bundle, edit)
    assert re.search(message, refused_at_opening(bundle))


def test_a_bundle_without_a_transformer_may_not_speak_of_sampling(bundle):
    def edit(content: dict) -> None:
        content["graphs"].pop("transformer")
        content.update(diffusion=None, conditioning=None, noise=None)
        content["model"].update(transformer=None)

    edit_manifest(bundle, edit)
    assert "go with a transformer" in refused_at_opening(bundle)


# ----------------------------------------------------------------------------------------- ports


def of_port(name: str, graph: str = "transformer", /, **values: object) -> Edit:
    def edit(content: dict) -> None:
        ports = content["graphs"][graph]
        next(p for p in (*ports["inputs"], *ports["outputs"]) if p["name"] == name).update(values)

    return edit


def of_inputs(edit: Callable[[list], object]) -> Edit:
    return lambda content: edit(content["graphs"]["transformer"]["inputs"])


TRANSFORMER_INPUTS = (
    r"graphs\.transformer: its inputs have to be latent float32 \[batch, 4, height, width\], "
    r"timestep float32 \[batch\], label int64 \[batch\]; export"
)
TRANSFORMER_OUTPUT = r"outputs have to be output float32 \[batch, 4, height, width\]; export"
PORTS: dict[str, tuple[Edit, str]] = {
    "no label": (of_inputs(lambda ports: ports.pop()), TRANSFORMER_INPUTS),
    "no timestep": (of_inputs(lambda ports: ports.pop(1)), TRANSFORMER_INPUTS),
    "no latent": (
        of_port("latent", name="z"),
        r"graphs\.transformer: it has to have a latent of four dimensions",
    ),
    "no input": (of_inputs(lambda ports: ports.clear()), "named axes"),
    "another order": (of_inputs(lambda ports: ports.reverse()), TRANSFORMER_INPUTS),
    "one more": (of_inputs(lambda ports: ports.append(ports[-1])), TRANSFORMER_INPUTS),
    "labels of float32": (of_port("label", dtype="float32"), TRANSFORMER_INPUTS),
    "labels of a fixed batch": (of_port("label", shape=[2]), TRANSFORMER_INPUTS),
    "labels of two dimensions": (of_port("label", shape=["batch", 1]), TRANSFORMER_INPUTS),
    "times without a batch": (of_port("timestep", shape=[]), TRANSFORMER_INPUTS),
    "a latent of two dimensions": (
        of_port("latent", shape=["height", "width"]),
        "a latent of four dimensions",
    ),
    "a latent of other channels": (
        of_port("latent", shape=["batch", 3, "height", "width"]),
        TRANSFORMER_INPUTS,
    ),
    "a latent on its side": (
        of_port("latent", shape=["batch", 4, "width", "height"]),
        r"its latent has to be \[batch, channels, height, width\]",
    ),
    "pairs of latents": (
        of_port("latent", shape=["2*batch", 4, "height", "width"]),
        r"its latent has to be \[batch, channels, height, width\]",
    ),
    "an output of another name": (of_port("output", name=ESCAPES), TRANSFORMER_OUTPUT),
    "an output of another grid": (
        of_port("output", shape=["batch", 4, "2*height", "width"]),
        TRANSFORMER_OUTPUT,
    ),
    "a variance that nobody learned": (
        of_port("output", shape=["batch", 8, "height", "width"]),
        TRANSFORMER_OUTPUT,
    ),
    "a learned variance that is not there": (
        of_part("diffusion", learned_variance=True),
        r"outputs have to be output float32 \[batch, 8, height, width\]",
    ),
    "a factor that no number holds": (
        of_port("output", shape=["batch", 4, "9" * 5000 + "*height", "width"]),
        r"outputs\.0\.shape\.2",
    ),
    "an axis that no input has": (
        of_port("latent", shape=["batch", 4, "height", 3]),
        r"no input has the named axes \['width'\] of the outputs",
    ),
    "a decoder that gives something else": (
        of_port("image", "decoder", shape=["batch", 3, "4*height", "4*width"]),
        r"graphs\.decoder: its outputs have to be image float32 \[batch, 3, 2\*height, 2\*width\]",
    ),
    "pictures of bytes that are planes": (
        of_part("image", dtype="uint8"),
        r"image: .* uint8 is NHWC",
    ),
    "a transformer of one row": (
        lambda content: fix_sizes(content["graphs"]["transformer"], rows=1),
        r"graphs\.transformer: it has to take latents of 2 x 3, 2 at a time",
    ),
    "batches of one": (
        of_part("graphs", "transformer", "ranges", batch={"min": 1, "max": 1}),
        r"graphs\.transformer: it has to take latents of 2 x 3, 2 at a time",
    ),
    "batches of eight at least": (
        of_part("graphs", "decoder", "ranges", batch={"min": 8, "max": 8}),
        r"graphs\.decoder: it has to take latents of 2 x 3, 1 at a time",
    ),
}


def without_golden(content: dict) -> None:
    """Golden cases name ports, and would be what is found."""
    content.update(golden=[])


@pytest.mark.parametrize(("edit", "message"), PORTS.values(), ids=PORTS)
def test_ports_that_are_not_the_networks_are_found_at_opening(bundle, edit, message):
    edit_manifest(bundle, without_golden)
    edit_manifest(bundle, edit)
    assert re.search(message, refused_at_opening(bundle))


def test_an_unconditional_model_takes_no_label(copied):
    bundle = copied("none")
    label = {"name": "label", "dtype": "int64", "shape": ["batch"]}
    edit_manifest(bundle, of_inputs(lambda ports: ports.append(label)))
    assert "timestep float32 [batch]; export" in refused_at_opening(bundle)


# ---------------------------------------------------------------------------------- time features


def npy(array: np.ndarray, folder: Path) -> bytes:
    np.save(folder / "array.npy", array)
    return (folder / "array.npy").read_bytes()


GOOD_FEATURES = np.linspace(0, 1, 3 * FEATURES, dtype=np.float32).reshape(3, FEATURES)
NOT_FINITE = np.where(GOOD_FEATURES == 1, np.nan, GOOD_FEATURES).astype(np.float32)
FEATURE_ARRAYS = {
    "a row too few": (GOOD_FEATURES[:2], r"has the shape \(2, 6\)"),
    "a row too many": (np.ones((4, FEATURES), np.float32), r"has the shape \(4, 6\)"),
    "another width": (GOOD_FEATURES[:, :5].copy(), r"has the shape \(3, 5\)"),
    "one dimension": (GOOD_FEATURES.ravel(), r"has the shape \(18,\)"),
    "doubles": (GOOD_FEATURES.astype(np.float64), "holds <f8"),
    "another byte order": (GOOD_FEATURES.astype(">f4"), "holds >f4"),
    "columns first": (np.asfortranarray(GOOD_FEATURES), "its header is not"),
    "NaN": (NOT_FINITE, "holds values that are not finite"),
    "infinity": (np.full((3, FEATURES), np.inf, np.float32), "holds values that are not finite"),
}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(("array", "reason"), FEATURE_ARRAYS.values(), ids=FEATURE_ARRAYS)
def test_features_that_are_not_those_of_the_rows_are_found_before_the_run(
    copied, tmp_path, array, reason
):
    bundle = copied("features")
    replace_file(bundle, FEATURE_FILE, npy(array, tmp_path))
    message = refused_at_generation(bundle, BundleError)
    assert re.search(rf"^samplers/ddim-3\.npy: .*{reason}", message)
    with pytest.raises(BundleError, match=reason):
        Bundle.open(bundle).verify()


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", bytes(1000), b"<html>" * 100])
def test_features_that_are_no_array_are_found_before_the_run(copied, data):
    bundle = copied("features")
    replace_file(bundle, FEATURE_FILE, data)
    assert FEATURE_FILE in refused_at_generation(bundle, BundleError)


def test_a_truncated_file_of_features_is_found_before_the_run(copied):
    bundle = copied("features")
    replace_file(bundle, FEATURE_FILE, (bundle / FEATURE_FILE).read_bytes()[:-1])
    assert "71 bytes of data, 72 expected" in refused_at_generation(bundle, BundleError)


@pytest.mark.usefixtures("no_work")
def test_two_features_of_one_time_are_found_before_the_run(copied):
    bundle = copied("features")
    times = {0: 7.0, 1: 7.0 + 1e-9}
    for row, t in times.items():
        edit_manifest(bundle, of_row(row, t=t))
    message = refused_at_generation(bundle, BundleError)
    assert message.startswith(f"{FEATURE_FILE}: different features of one time")


def test_a_time_that_is_no_float32_finds_its_features(copied):
    bundle = copied("features")
    edit_manifest(bundle, of_row(0, t=999.9000001))
    assert Pipeline.open(bundle).generate([1]).any()


@pytest.mark.usefixtures("no_work")
def test_changed_features_are_refused(copied):
    bundle = copied("features")
    data = bytearray((bundle / FEATURE_FILE).read_bytes())
    data[-1] ^= 1
    (bundle / FEATURE_FILE).write_bytes(data)
    assert "sha256 differs" in refused_at_generation(bundle, RefusedError)


@pytest.mark.parametrize("path", ["../outside.npy", "/etc/passwd", "a//b", ".hidden", "a\x1b[31m"])
def test_features_outside_are_refused(copied, path):
    bundle = copied("features")
    edit_manifest(bundle, of_table(lambda table: table.update(time_features=path)))
    message = refused_at_opening(bundle, RefusedError)
    assert "samplers.tables.ddim:3.time_features is no plain relative path" in message


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("name", ["decoder.onnx", "decoder.onnx.data"])
def test_a_damaged_decoder_is_found_before_the_sampling(bundle, name):
    data = bytearray((bundle / name).read_bytes())
    data[-1] ^= 1
    (bundle / name).write_bytes(data)
    assert f"{name}: sha256 differs" in refused_at_generation(bundle, RefusedError)


def test_features_that_are_a_link_are_refused(copied, tmp_path):
    bundle = copied("features")
    (bundle / FEATURE_FILE).rename(tmp_path / "outside.npy")
    (bundle / FEATURE_FILE).symlink_to(tmp_path / "outside.npy")
    with pytest.raises(RefusedError, match="is a link"):
        Bundle.open(bundle)


def test_features_that_are_not_listed_are_found_at_opening(copied):
    bundle = copied("features")
    edit_manifest(bundle, lambda content: content["files"].pop(FEATURE_FILE))
    assert f"not listed in files: {FEATURE_FILE}" in refused_at_opening(bundle)


def test_many_files_that_are_not_listed_make_no_long_message(bundle):
    names = [f"{'x' * 100}/{number}" for number in range(10_000)]
    edit_manifest(bundle, of_part("graphs", "transformer", data=names))
    assert "and 9999 more" in refused_at_opening(bundle)


def test_a_table_without_features_is_found_where_the_transformer_takes_them(copied):
    bundle = copied("features")
    edit_manifest(bundle, of_table(lambda table: table.update(time_features=None)))
    assert "just where ddim:3 has them" in refused_at_opening(bundle)


@pytest.mark.parametrize("shape", [["batch"], ["batch", "width"], [], ["batch", 6, 1]])
def test_features_of_another_form_are_found_at_opening(copied, shape):
    bundle = copied("features")
    edit_manifest(bundle, of_port("time_features", shape=shape))
    assert "graphs.transformer: its inputs have to be " in refused_at_opening(bundle)


# ------------------------------------------------------------------------------------- the request

REQUESTS: dict[str, tuple[dict[str, object], str]] = {
    "a guidance of NaN": ({"guidance": float("nan")}, "guidance nan: a weight is a number from 0"),
    "a guidance of infinity": ({"guidance": float("inf")}, "guidance inf: "),
    "a guidance beyond float32": ({"guidance": 1e39}, "guidance 1e.39: "),
    "a negative guidance": ({"guidance": -0.5}, "guidance -0.5: "),
    "a sampler that is not there": ({"sampler": "euler:4"}, "this bundle has ddim:3, dpmpp-2m:4"),
    "a sampler with escapes": ({"sampler": ESCAPES}, "this bundle has ddim:3"),
    "a label beyond": ({"labels": [NUM_CLASSES]}, "labels are 0 to 4"),
    "a label of 400 digits": ({"labels": ["9" * 400]}, "no such class"),
    "a label with escapes": ({"labels": [ESCAPES]}, "no such class"),
    "a size that the decoder does not take": ({"size": (20, 20)}, "this bundle makes 6x4"),
    "a size of 10^12": ({"size": (10**12, 10**12)}, "this bundle makes 6x4"),
}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(("request_", "message"), REQUESTS.values(), ids=REQUESTS)
def test_what_the_bundle_does_not_have_is_refused_before_the_work(bundle, request_, message):
    assert re.search(message, refused_at_generation(bundle, UsageError, **request_))


def test_a_number_that_python_does_not_convert_is_no_label(bundle):
    with pytest.raises(UsageError, match="no such class"):
        Pipeline.open(bundle).generate(["9" * 5000])


def test_a_null_label_that_the_network_does_not_have_is_the_bundles_fault(bundle):
    edit_manifest(bundle, of_part("conditioning", null_label=2**31 - 1))
    message = refused_at_generation(bundle, BundleError)
    assert message.startswith("transformer.onnx: failed: ")


def test_classes_that_the_network_does_not_have_are_the_bundles_fault(bundle):
    many = of_part("conditioning", num_classes=2**31 - 1, null_label=2**31 - 1, class_names=None)
    edit_manifest(bundle, many)
    message = refused_at_generation(bundle, BundleError, labels=[2**31 - 2])
    assert message.startswith("transformer.onnx: failed: ")


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("side", [10**5, 10**9])
def test_a_grid_that_no_memory_holds_is_refused_at_once_whatever_the_forecast_says(
    bundle, capsys, tmp_path, side
):
    def edit(content: dict) -> None:
        content["diffusion"].update(grid=[side, side])
        for graph in content["graphs"].values():
            graph.update(activation_bytes=0)
            graph["ranges"].update(
                height={"min": 1, "max": 2**31 - 1}, width={"min": 1, "max": 2**31 - 1}
            )

    edit_manifest(bundle, edit)
    expected = rf"{2 * side}x{2 * side} needs .* up to \d+x\d+ fit"
    assert re.search(expected, refused_at_generation(bundle, ResourceError))
    picture = tmp_path / "photo.png"
    write_picture(picture, np.zeros((8, 8, 3), np.uint8))
    request = ("generate", bundle, "--from", picture, "--out", tmp_path / "out.png")
    status, out, err = run_here(capsys, *request)
    assert (status, out) == (6, "")
    assert re.search(expected, err)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("key", ["activation_bytes", "attention_bytes"])
def test_the_largest_forecast_is_a_resource_error(bundle, key):
    edit_manifest(bundle, of_part("graphs", "transformer", **{key: 2**63 - 1}))
    assert "no size fits" in refused_at_generation(bundle, ResourceError)
    edit_manifest(bundle, of_part("graphs", "transformer", **{key: 10**4000}))
    assert f"graphs.transformer.{key}: " in refused_at_opening(bundle)


# ------------------------------------------------------------------------------ more samplers


def test_a_table_that_would_make_the_manifest_unreadable_is_not_added(bundle, monkeypatch):
    before = (bundle / "manifest.json").read_bytes()
    monkeypatch.setattr(manifest_file, "MAX_MANIFEST_BYTES", len(before) + 100)
    with pytest.raises(BundleError, match=r"manifest\.json: .* at most"):
        edit_samplers(bundle, ["ddim:5"], default=None)
    assert (bundle / "manifest.json").read_bytes() == before


def test_the_65th_table_is_not_added(bundle):
    def edit(content: dict) -> None:
        tables = content["samplers"]["tables"]
        tables.update({f"ddim{i}:3": tables["ddim:3"] for i in range(62)})

    edit_manifest(bundle, edit)
    before = (bundle / "manifest.json").read_bytes()
    with pytest.raises(BundleError, match="at most 64 items") as caught:
        edit_samplers(bundle, ["ddim:5"], default=None)
    one_line(caught.value)
    assert (bundle / "manifest.json").read_bytes() == before


# ------------------------------------------------------------------------------- the terminal


@pytest.mark.parametrize("text", [ESCAPES, "[/red] [bold]x :boom:"], ids=["escapes", "markup"])
def test_inspect_shows_every_text_of_a_manifest_as_it_is_and_drives_no_terminal(
    bundle, capsys, text
):
    shown = text.encode("unicode_escape").decode() if text == ESCAPES else text

    def edit(content: dict) -> None:
        names = ("preset", "weights", "licence")
        content["model"].update(dict.fromkeys(names, text))
        content["model"]["transformer"].update(dict.fromkeys(names, text))
        content["producer"].update(dict.fromkeys(content["producer"], text))
        content["simplification"] = [
            {
                "graph": "decoder",
                "simplifier": "none",
                "outcome": text,
                "nodes_before": 1,
                "nodes_after": 1,
            }
        ]
        content["parity"] = [
            {
                "graph": "decoder",
                **dict.fromkeys(("input", "reference", "runtime"), text),
                "max_abs": 0.0,
                "relative_l2": 0.0,
                "psnr_db": None,
                "tolerance": {"relative_l2": 0.0, "max_abs": 0.0, "because": text},
                "verdict": "passed",
            }
        ]

    edit_manifest(bundle, edit)
    status, out, err = run_here(capsys, "inspect", bundle)
    assert (status, err) == (0, "")
    assert all(line.isprintable() for line in out.splitlines())
    assert "bundle: all good" not in [line.strip() for line in out.splitlines()]
    # Three of each network, four of the producer, three of the record of parity.
    assert out.count(shown) == 3 + 3 + 4 + 3
    status, out, _ = run_here(capsys, "inspect", bundle, "--json")
    assert (status, out.isascii()) == (0, True)
    assert json.loads(out)["manifest"]["model"]["preset"] == text


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--sampler", ESCAPES), 2),
        (("--label", ESCAPES), 2),
        (("--guidance", "nan"), 2),
        (("--guidance", "1e39"), 2),
        (("--label", "9" * 5000), 2),
    ],
)
@pytest.mark.usefixtures("no_work")
def test_a_request_that_cannot_be_met_is_one_printable_line(
    bundle, capsys, tmp_path, arguments, status
):
    found, out, err = run_here(
        capsys, "generate", bundle, *arguments, "--out", tmp_path / "out.png"
    )
    assert (found, out) == (status, "")
    assert err.endswith("\n")
    assert err.removesuffix("\n").isprintable()
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("command", ["generate", "samplers", "inspect", "verify", "parity"])
def test_every_command_refuses_a_hostile_manifest_in_one_printable_line(
    bundle, capsys, tmp_path, command
):
    edit_manifest(bundle, of_part("conditioning", class_names=[ESCAPES] * NUM_CLASSES))
    options = ("--out", tmp_path / "out.png") if command == "generate" else ()
    status, out, err = run_here(capsys, command, bundle, *options)
    assert (status, out) == (3, "")
    assert err.startswith("dcae: error: manifest.json: conditioning.class_names.0: ")
    assert err.removesuffix("\n").isprintable()


# --------------------------------------------------------------------------------- anything else

HOSTILE_VALUES = [
    *(None, True, -1, 0, 1, 2, 3, 17, 2**31, 2**63, 10**400, 0.5, -0.5, 1e39, LARGEST, -LARGEST),
    *("", "x", ESCAPES, "ddim:3", "../x", "batch", "9" * 5000 + "*height", [], [1], [[]], {}),
]
PARTS_OF_GENERATION = (
    "diffusion",
    "conditioning",
    "samplers",
    "noise",
    "latent",
    "graphs",
    "image",
)


def places(content: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The ways to every value inside ``content``."""
    inner = (
        list(content.items())
        if isinstance(content, dict)
        else list(enumerate(content))
        if isinstance(content, list)
        else []
    )
    return [found for key, value in inner for found in [(*path, key), *places(value, (*path, key))]]


@settings(max_examples=60, deadline=None, database=None)
@given(data=st.data())
def test_any_value_in_any_place_is_a_picture_or_an_error_of_ours(originals, data):
    folder = originals[data.draw(st.sampled_from(sorted(originals)))]
    path = folder / "manifest.json"
    text = path.read_text()
    content = json.loads(text)
    parts = {key: content[key] for key in PARTS_OF_GENERATION}
    place = data.draw(st.sampled_from(places(parts)))
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = data.draw(st.sampled_from(HOSTILE_VALUES))
    try:
        path.write_text(json.dumps(content))
        try:
            pictures = Pipeline.open(folder, memory_limit=2**26).generate([None])
        except DcaeError as error:
            one_line(error)
        else:
            assert pictures.ndim == 4
    finally:
        path.write_text(text)
