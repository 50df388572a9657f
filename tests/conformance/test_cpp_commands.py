"""What dcae-run says beside its pictures: folders as Python has them, and how far it is."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cpp_runtime import built, host_program, onnxruntime_library, run
from crafted_pictures import every_kind, gradient
from program import Result, run_here

from dcae_export.bundle.manifest import GraphName
from dcae_export.bundle.reader import Bundle
from dcae_export.pictures.picture_file import read_picture
from dcae_export.runtime.forecast import run_bytes, weight_bytes
from dcae_export.runtime.provider import Provider
from runtimes.conformance.suite import Suite

pytestmark = pytest.mark.integration

AT_WORK_SECONDS = 0.3
# Of enough evaluations to be seen at work: seconds on one core.
LONG = (
    *("generate", "{bundle}", "--label", "1", "--sampler", "forms:6", "--count", "60"),
    *("--size", "48x48", "--threads", "1", "--json", "--out", "{out}"),
)
NOTE = "dcae: random weights: the picture is noise"
LINE = r"generating: \d+ of 90(, 0:\d\d:\d\d left)?, 0:\d\d:\d\d so far"


def in_cpp(*arguments: str | Path) -> Result:
    done = subprocess.run(
        [built("release"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"DCAE_ONNXRUNTIME": str(onnxruntime_library())},
    )
    return Result(done.returncode, done.stdout, done.stderr)


def in_python(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Result:
    return run_here(capsys, *arguments)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures of every format, in subfolders too, one of which is damaged, and what is to be passed over."""
    kinds = every_kind(gradient(18, 14))
    folder = tmp_path / "photos"
    files = {
        "a.png": kinds["png"],
        "a.jpg": kinds["jpeg"],
        "b.WebP": kinds["webp"],
        "damaged.png": kinds["png"][:-20],
        "cat/deep/c.jpeg": kinds["progressive"],
        "bird/d.webp": kinds["lossless"],
        ".hidden.png": kinds["png"],
        "notes.txt": b"",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "link").symlink_to(folder / "cat")
    return folder


@pytest.mark.parametrize("name", ["class", "mixed"])
def test_a_bundle_is_judged_and_described_as_by_python(
    suite: Suite, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    bundle = suite.bundle(name)
    for command in (("parity", bundle), ("inspect", bundle)):
        of_python, of_cpp = in_python(capsys, *command), in_cpp(*command)
        assert of_cpp.status == of_python.status == 0
        # What is installed differs, and how wide a space in a cell is.
        words = [result.out.partition("installed: ")[0].split() for result in (of_python, of_cpp)]
        assert words[0] == words[1]


def test_the_json_of_a_judgement_is_that_of_python(
    suite: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("parity", suite.bundle("mixed"), "--json")
    of_python, of_cpp = (
        json.loads(result.out) for result in (in_python(capsys, *command), in_cpp(*command))
    )
    assert [sorted(one) for one in of_cpp["measurements"]] == [
        sorted(one) for one in of_python["measurements"]
    ]
    for ours, its in zip(of_cpp["measurements"], of_python["measurements"], strict=True):
        assert ours["tolerance"] == its["tolerance"]
        assert ours["relative_l2"] == pytest.approx(its["relative_l2"], rel=1e-9)
        assert ours["cosine"] == pytest.approx(its["cosine"], rel=1e-9)


def test_a_limit_that_does_not_do_has_the_error_of_python(
    suite: Suite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("generate", suite.bundle("class"), "--out", tmp_path / "a.png")
    command = (*command, "--memory-limit", "1kB")
    of_python, of_cpp = in_python(capsys, *command), in_cpp(*command)
    assert of_cpp == of_python
    assert "the limit is 0.0 MiB" in of_cpp.err


def test_a_picture_is_named_by_the_seed_that_it_was_drawn_from(
    suite: Suite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("generate", suite.bundle("class"), "--sampler", "ddim:3", "--seed", 2**64 - 1)
    command = (*map(str, command), "--count", "2", "--each", "--json", "--force", "--out")
    of_python = in_python(capsys, *command, tmp_path / "out")
    of_cpp = in_cpp(*command, tmp_path / "out")
    assert of_cpp == of_python
    names = ["picture-18446744073709551615.png", "picture-0.png"]
    assert json.loads(of_cpp.out)["out"] == [str(tmp_path / "out" / name) for name in names]
    assert json.loads(of_cpp.out)["seeds"] == [2**64 - 1, 0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)


def test_a_folder_is_reconstructed_as_by_python(
    suite: Suite, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("reconstruct", suite.bundle("class"), photos, "--threads", "1", "--out")
    of_python = in_python(capsys, *command, tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "python")
    of_cpp = in_cpp(*command, tmp_path / "out")
    assert of_cpp.status == of_python.status == 0
    assert of_cpp.err == of_python.err
    assert "1 of 6 pictures left out" in of_cpp.err
    # Python's last line names its sheets, too.
    assert of_cpp.out.splitlines()[:-1] == of_python.out.splitlines()[:-1]
    assert of_cpp.out.splitlines()[-1] == f"{tmp_path / 'out'}: reconstructions"
    names = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png")}
    assert names == {"a.png.png", "a.jpg.png", "b.png", "cat/deep/c.png", "bird/d.png"}
    for name in names:
        of_both = (read_picture(tmp_path / part / name) for part in ("out", "python"))
        assert np.array_equal(*of_both), name


def test_the_json_of_a_folder_is_that_of_python(
    suite: Suite, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("reconstruct", suite.bundle("class"), photos, "--threads", "1", "--json", "--force")
    results = (
        in_python(capsys, *command, "--out", tmp_path / "out"),
        in_cpp(*command, "--out", tmp_path / "out"),
    )
    of_python, of_cpp = (json.loads(result.out) for result in results)
    for picture in of_python["pictures"]:
        picture["sheet"] = None
        # The same sums in another order.
        for score in ("psnr_db", "ssim"):
            picture[score] = pytest.approx(picture[score], abs=1e-9)
    of_python["mean"] = pytest.approx(of_python["mean"], abs=1e-9)
    assert of_cpp == of_python


def test_a_name_that_is_no_text_is_escaped(suite: Suite, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    name = os.fsdecode(b"\xff\x1b[2J.png")
    (folder / name).write_bytes(every_kind(gradient(18, 14))["png"])
    command = ("reconstruct", suite.bundle("class"), folder, "--out", tmp_path / "out", "--force")
    assert r"\udcff\x1b[2J.png" in in_cpp(*command).out
    (picture,) = json.loads(in_cpp(*command, "--json").out)["pictures"]
    assert picture["picture"] == f"{folder}/\N{REPLACEMENT CHARACTER}\x1b[2J.png"
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


def no_pictures(photos: Path, _: Path) -> None:
    for path in photos.rglob("*"):
        if path.is_file():
            path.unlink()


def none_readable(photos: Path, _: Path) -> None:
    for path in photos.rglob("*.*"):
        path.write_bytes(b"")


def a_file_in_the_way(_: Path, out: Path) -> None:
    out.write_bytes(b"")


def a_picture_that_is_there(_: Path, out: Path) -> None:
    out.mkdir()
    (out / "b.png").write_bytes(b"")


def two_that_meet(photos: Path, _: Path) -> None:
    (photos / "a.jpg.png").write_bytes((photos / "a.png").read_bytes())


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (no_pictures, 3),
        (none_readable, 3),
        (a_file_in_the_way, 3),
        (a_picture_that_is_there, 3),
        (two_that_meet, 2),
    ],
)
def test_a_folder_that_cannot_be_reconstructed_has_the_error_of_python(
    suite: Suite, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change, status
) -> None:
    out = tmp_path / "out"
    change(photos, out)
    command = ("reconstruct", suite.bundle("class"), photos, "--out", out)
    of_python, of_cpp = in_python(capsys, *command), in_cpp(*command)
    assert of_cpp == of_python
    assert of_cpp.status == status


@pytest.mark.parametrize("command", ["reconstruct", "encode", "decode"])
def test_a_bundle_of_one_size_names_it_and_the_way_out_as_by_python(
    suite: Suite, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    given = tmp_path / ("latent.npy" if command == "decode" else "photo.png")
    if command == "decode":
        np.save(given, np.zeros((1, 4, 5, 6), np.float32))
    else:
        given.write_bytes(every_kind(gradient(14, 18))["png"])
    out = tmp_path / ("out.npy" if command == "encode" else "out.png")
    call = (command, suite.bundle("fixed"), given, "--out", out)
    of_python, of_cpp = in_python(capsys, *call), in_cpp(*call)
    assert of_cpp == of_python
    assert of_python.status == (3 if command == "decode" else 2)
    sizes = {
        "reconstruct": "photo.png: 18x14: this bundle takes pictures of 12x8 alone; ",
        "encode": "photo.png: 18x14: this bundle takes pictures of 12x8 alone; ",
        "decode": "a latent of 12x10 pixels and this bundle takes 12x8 alone; ",
    }
    assert sizes[command] in of_python.err
    assert of_python.err.endswith("without --size\n")
    assert not out.exists()


def test_a_bundle_of_two_at_a_time_takes_one_as_by_python(
    suite: Suite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, latent = tmp_path / "photo.png", tmp_path / "latent.npy"
    photo.write_bytes(every_kind(gradient(8, 12))["png"])
    pictures = []
    for run_it in (lambda *call: in_python(capsys, *call), in_cpp):
        for command, given, out in (
            ("encode", photo, latent),
            ("decode", latent, tmp_path / "back.png"),
            ("reconstruct", photo, tmp_path / "again.png"),
        ):
            done = run_it(command, suite.bundle("fixed"), given, "--out", out, "--force")
            assert (done.status, done.err) == (0, "")
        pictures += [read_picture(tmp_path / name) for name in ("back.png", "again.png")]
    assert all(np.array_equal(one, pictures[0]) for one in pictures)


@pytest.mark.parametrize("inside", [".", "out", "cat/deep/out", "link/out"])
def test_reconstructions_do_not_go_among_the_pictures(
    suite: Suite, photos: Path, capsys: pytest.CaptureFixture[str], inside: str
) -> None:
    before = sorted(photos.rglob("*"))
    command = ("reconstruct", suite.bundle("class"), photos, "--force", "--out", photos / inside)
    of_python, of_cpp = in_python(capsys, *command), in_cpp(*command)
    assert of_cpp == of_python
    assert of_cpp.status == 2
    assert sorted(photos.rglob("*")) == before


def start(suite: Suite, out: Path, error: int) -> subprocess.Popen[bytes]:
    arguments = (part.format(bundle=suite.bundle("class"), out=out) for part in LONG)
    return subprocess.Popen(
        [built("release"), *arguments],
        stdout=subprocess.PIPE,
        stderr=error,
        env=os.environ | {"DCAE_ONNXRUNTIME": str(onnxruntime_library())},
    )


def pause(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Stop a process once it is at work: the time goes on, and however fast the machine is, it takes so long."""
    time.sleep(AT_WORK_SECONDS)
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.send_signal(signal.SIGCONT)


def read_to_the_end(terminal: int) -> str:
    shown = b""
    try:
        while part := os.read(terminal, 65536):
            shown += part
    # Linux's way to say that nobody writes to it any more.
    except OSError:
        pass
    return shown.decode()


def test_a_limit_that_holds_one_picture_at_a_time_is_kept_as_by_python(
    suite: Suite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = suite.bundle("class")
    limit = sum(_bytes_of(bundle, "transformer", rows=rows) for rows in (2, 4)) // 2
    command = (
        *("generate", bundle, "--label", "1", "--label", "2", "--size", "96x96"),
        *("--sampler", "ddim:3", "--threads", "1", "--memory-limit", f"{limit // 1000}kB", "--out"),
    )
    of_python = in_python(capsys, *command, tmp_path / "python.png")
    of_cpp = in_cpp(*command, tmp_path / "cpp.png")
    assert (of_python.status, of_cpp.status) == (0, 0), of_python.err + of_cpp.err
    assert np.array_equal(read_picture(tmp_path / "python.png"), read_picture(tmp_path / "cpp.png"))


def test_pictures_that_wait_to_be_written_are_of_the_limit_as_in_python(
    suite: Suite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = (
        *("generate", suite.bundle("class"), "--label", "1", "--count", "50000"),
        *("--memory-limit", "20MB", "--out", tmp_path / "a.png"),
    )
    of_python, of_cpp = in_python(capsys, *command), in_cpp(*command)
    assert of_python.status == of_cpp.status == 6
    assert of_python.err == of_cpp.err
    assert "50000 pictures of " in of_cpp.err
    assert (
        "until they are written, the limit is 19.1 MiB; raise it or make fewer at a time"
        in of_cpp.err
    )


def test_what_the_memory_does_not_hold_at_once_is_not_kept(suite: Suite, tmp_path: Path) -> None:
    bundle = suite.bundle("class")
    kept = host_program("cpp_entries/kept.cpp", tmp_path / "kept", ("release",))
    both = _bytes_of(bundle, "transformer", rows=2) + _bytes_of(bundle, "decoder", rows=1)
    library = str(onnxruntime_library())
    for limit in (both - 1, 4 * both):
        said = run(kept, bundle, str(limit), DCAE_ONNXRUNTIME=library)
        assert said == "twice the same\n"
    assert "no size fits; raise it" in run(kept, bundle, "1000", DCAE_ONNXRUNTIME=library)


def _bytes_of(bundle: Path, name: GraphName, *, rows: int) -> int:
    manifest = Bundle.open(bundle).manifest
    graph = manifest.graphs[name]
    axes = {"batch": rows, "height": 48, "width": 48}
    weights = weight_bytes(manifest, graph, provider=Provider.CPU)
    return weights + run_bytes(graph, axes, provider=Provider.CPU)


def test_a_terminal_shows_how_far_a_command_is_and_keeps_nothing(
    suite: Suite, tmp_path: Path
) -> None:
    ours, its = pty.openpty()
    with start(suite, tmp_path / "picture.png", its) as process:
        os.close(its)
        pause(process, 1)
        shown = read_to_the_end(ours)
        out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    assert json.loads(out)["out"] == [str(tmp_path / "picture.png")]
    before, *lines = shown.split("\r\x1b[2K")
    # What is drawn is cleared before anything else is printed.
    assert (before, lines[-1]) == ("", f"{NOTE}\r\n")
    assert len(lines) > 1
    assert all(
        re.fullmatch(f"{LINE}|decoding, 0:\\d\\d:\\d\\d so far", line) for line in lines[:-2]
    )


@pytest.mark.slow
def test_where_nobody_watches_a_line_is_printed_after_a_while(suite: Suite, tmp_path: Path) -> None:
    with start(suite, tmp_path / "picture.png", subprocess.PIPE) as process:
        pause(process, 20)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["out"] == [str(tmp_path / "picture.png")]
    assert re.fullmatch(f"dcae: {LINE}\n{NOTE}\n", error.decode())


def test_what_is_quick_says_nothing(suite: Suite, tmp_path: Path) -> None:
    command = ("reconstruct", suite.bundle("class"), suite.picture("small"))
    assert in_cpp(*command, "--out", tmp_path / "back.png").err == ""


@pytest.mark.parametrize("runtime", ["python", "cpp"])
def test_onnx_runtime_keeps_no_telemetry(suite: Suite, tmp_path: Path, runtime: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        name: value
        for name, value in os.environ.items()
        # ONNX Runtime sends nothing where it takes its process for a test's.
        if name != "CI" and not name.startswith(("XDG_", "ORT_", "GITHUB_"))
    }
    commands = {
        "python": [sys.executable, "-m", "dcae_export"],
        "cpp": [str(built("release"))],
    }
    library = {"DCAE_ONNXRUNTIME": str(onnxruntime_library())}
    words = ("generate", suite.bundle("class"), "--label", "1", "--out", tmp_path / "a.png")
    subprocess.run(
        [*commands[runtime], *map(str, words)],
        check=True,
        env=environment | library | {"HOME": str(home)},
    )
    assert not [path for path in home.rglob("*") if path.is_file()]
