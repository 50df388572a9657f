"""What a user is told to type installs the extra from where this package came."""

import json
from importlib import metadata
from pathlib import Path

import pytest

from dcae_export import extras
from dcae_export.extras import install_command


@pytest.fixture
def origin(monkeypatch: pytest.MonkeyPatch):
    """Say what pip wrote down; None is nothing."""

    class Distribution:
        text: str | None = None

        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return self.text

    distribution = Distribution()

    def say(content: dict[str, object] | None) -> None:
        distribution.text = None if content is None else json.dumps(content)

    monkeypatch.setattr(extras.metadata, "distribution", lambda _name: distribution)
    return say


def test_from_an_index_the_name_is_enough(origin):
    origin(None)
    assert install_command("gpu") == "pip install 'dcae-export[gpu]'"


@pytest.mark.parametrize(("editable", "flag"), [(False, ""), (True, "-e ")])
def test_from_a_checkout_its_folder_is_named(origin, tmp_path: Path, editable, flag):
    folder = tmp_path / "my checkout"
    folder.mkdir()
    origin({"url": folder.as_uri(), "dir_info": {"editable": editable}})
    assert install_command("train") == f"pip install {flag}'{folder}[train]'"


@pytest.mark.parametrize(
    ("extra", "name"), [("export", "constraints.txt"), ("gpu", "constraints-gpu.txt")]
)
def test_a_checkouts_constraints_are_named(origin, tmp_path: Path, extra, name):
    for one in ("constraints.txt", "constraints-gpu.txt"):
        (tmp_path / one).touch()
    origin({"url": tmp_path.as_uri(), "dir_info": {}})
    assert install_command(extra) == f"pip install -c {tmp_path / name} '{tmp_path}[{extra}]'"


def test_from_a_wheel_its_file_is_named_while_it_is_there(origin, tmp_path: Path):
    wheel = tmp_path / "dcae_export-1-py3-none-any.whl"
    wheel.touch()
    origin({"url": wheel.as_uri(), "archive_info": {}})
    assert install_command("cpu") == f"pip install '{wheel}[cpu]'"
    wheel.unlink()
    assert install_command("cpu") == "pip install 'dcae-export[cpu]'"


def test_from_a_repository_its_address_is_named(origin):
    origin({"url": "https://example.com/dcae.git", "vcs_info": {"vcs": "git", "commit_id": "0"}})
    assert install_command("cpu") == (
        "pip install 'dcae-export[cpu] @ git+https://example.com/dcae.git'"
    )


def test_where_nothing_is_installed_the_name_is_enough(monkeypatch):
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(extras.metadata, "distribution", missing)
    assert install_command("cpu") == "pip install 'dcae-export[cpu]'"
