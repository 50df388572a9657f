"""``dcae evaluate``: what it refuses before any work, and what it prints."""

import json
import sys
from decimal import Decimal
from importlib.util import find_spec

import numpy as np
import pytest

from dcae_export.cli.commands.evaluate import options as evaluate_options
from dcae_export.cli.commands.evaluate import reconstruction as evaluate_reconstruction
from dcae_export.cli.commands.evaluate.report import tell
from dcae_export.evaluation.published import Dataset, Evidence, Published
from dcae_export.evaluation.result import Figure, Result
from dcae_export.extras import install_command

ARGUMENTS = {
    "reconstruction": ("BUNDLE", "--data", "."),
    "statistics": (".", "--out", "s.npz", "--inception", "random:0"),
    "generation": ("BUNDLE", "--reference", "s.npz", "--inception", "random:0"),
    "clip": (".", "--clip", "."),
}
PUBLISHED = Published(
    value=Decimal("0.69"),
    count=50_000,
    setting="ImageNet, 256 px",
    source="a paper",
    evidence=Evidence.UNCONFIRMED,
)
RESULT = Result(
    kind="reconstruction",
    subject="BUNDLE",
    settings={
        "crop": "ADM's, 64 px",
        "left out": "1 unreadable",
        "shortfall": "7 of 8 measured: one is damaged",
    },
    figures=(
        Figure(name="rFID", value=1.23456789, count=7, better="lower", published=PUBLISHED),
        Figure(name="PSNR", value=25.5, count=7, better="higher", unit="dB"),
        Figure(name="LPIPS", value=None, count=0, better="lower", note="not measured: no weights"),
        Figure(name="CLIP", value=None, count=7, better="higher", note="random", trial=484.035),
    ),
    distributions={"PSNR, dB": (25.0, 26.0)},
    pictures=(),
)


def hide(monkeypatch, package: str) -> None:
    """Let the commands find every package but this."""
    monkeypatch.setattr(
        evaluate_options, "find_spec", lambda name: None if name == package else find_spec(name)
    )


@pytest.mark.parametrize(
    ("kind", "more", "package"),
    [
        *((kind, (), "torch") for kind in ARGUMENTS),
        *((kind, ("--html", "p.html"), "jinja2") for kind in ARGUMENTS if kind != "statistics"),
        ("reconstruction", ("--alexnet", "random:0"), "torchmetrics"),
        ("clip", (), "transformers"),
    ],
)
def test_a_package_that_is_missing_is_named_before_any_work(dcae, monkeypatch, kind, more, package):
    hide(monkeypatch, package)
    result = dcae("evaluate", kind, *ARGUMENTS[kind], *more)
    assert result.status == 2
    assert result.err == (
        f"dcae: error: {package} is not installed; {install_command('evaluate')}\n"
    )


@pytest.mark.parametrize("package", ["transformers", "torchmetrics", "jinja2"])
def test_psnr_and_ssim_need_no_package_of_another_metric_or_of_the_page(
    dcae, monkeypatch, tmp_path, package
):
    hide(monkeypatch, package)
    # As where it is not installed: an import fails.
    monkeypatch.setitem(sys.modules, package, None)
    result = dcae("evaluate", "reconstruction", tmp_path / "none", "--data", tmp_path)
    assert result.status == 3
    assert "none" in result.err
    assert package not in result.err
    tell(RESULT, html=None, force=False, as_json=False)


@pytest.mark.parametrize("kind", ["reconstruction", "generation", "clip"])
def test_a_page_that_exists_is_refused_before_any_work(dcae, tmp_path, kind):
    (tmp_path / "page.html").write_text("mine")
    result = dcae("evaluate", kind, *ARGUMENTS[kind], "--html", tmp_path / "page.html")
    assert result.status == 3
    assert "exists" in result.err
    assert (tmp_path / "page.html").read_text() == "mine"


def test_statistics_that_exist_are_refused_before_any_work(dcae, tmp_path):
    (tmp_path / "s.npz").write_text("mine")
    result = dcae("evaluate", "statistics", ".", "--out", tmp_path / "s.npz", "--inception", "x")
    assert result.status == 3
    assert "exists" in result.err


# These stand as text where help is made, because the modules they come from load NumPy or PyTorch.
def test_the_data_sets_are_those_of_the_published_figures():
    assert [dataset.value for dataset in Dataset] == list(evaluate_reconstruction.DATASETS)


def test_the_table_shows_every_figure_beside_the_published_one_and_says_what_is_missing(capsys):
    tell(RESULT, html=None, force=False, as_json=False)
    out, err = capsys.readouterr()
    rows = [line.split("  ") for line in out.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells[1:] == [
        ["rFID", "1.23457", "7", "0.69 (ImageNet, 256 px)", "published: not confirmed"],
        ["PSNR, dB", "25.5", "7"],
        ["LPIPS", "-", "0", "not measured: no weights"],
        ["CLIP", "-", "7", "random"],
    ]
    assert "left out: 1 unreadable" in err
    assert "dcae: --count: 7 of 8 measured: one is damaged\n" in err


def test_json_is_the_whole_result(capsys):
    tell(RESULT, html=None, force=False, as_json=True)
    content = json.loads(capsys.readouterr().out)
    assert content == json.loads(json.dumps(RESULT.as_json()))
    assert content["figures"][0]["value"] == 1.23456789


def test_a_page_is_written_beside_the_table(capsys, tmp_path):
    page = tmp_path / "page.html"
    tell(RESULT, html=page, force=False, as_json=False)
    assert page.read_text().startswith("<!")
    assert str(page) in capsys.readouterr().out


def test_reading_statistics_that_are_none_is_one_line(dcae, tmp_path, monkeypatch):
    np.savez(tmp_path / "s.npz", mean=np.ones(3))
    monkeypatch.chdir(tmp_path)
    result = dcae("evaluate", "generation", tmp_path, *ARGUMENTS["generation"][1:])
    assert result.status == 3
    assert len(result.err.splitlines()) == 1
