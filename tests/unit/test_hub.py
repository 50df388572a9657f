"""The hub client against a small hub of our own on this machine."""

import huggingface_hub
import pytest
from hub_server import COMMIT, FolderAsRepository
from huggingface_hub import constants
from local_server import running

from dcae_export import hub
from dcae_export.errors import HubError, ResourceError

REPOSITORY = "org/autoencoder"
FILES = {
    "config.json": b'{"model_name": "x"}',
    "model.safetensors": b"\x00" * 4096,
    "vae/config.json": b"{}",
    "text_encoder/model.safetensors": b"\x01" * 4096,
}


class Hub(FolderAsRepository):
    """Keeps what it was asked for, and has two repositories that it does not give away."""

    requested: list[str]
    user_agents: set[str]

    def find(self, path):
        self.requested.append(path)
        self.user_agents.add(self.headers["User-Agent"])
        if path.startswith("/api/models/org/gated"):
            return 403, {"X-Error-Code": "GatedRepo"}, b""
        if path.startswith("/api/models/org/broken"):
            return 500, {}, b""
        return super().find(path)


@pytest.fixture
def server(monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    members = {"repository": REPOSITORY, "folder": folder, "requested": [], "user_agents": set()}
    handler = type("RecordingHub", (Hub,), members)
    with running(handler) as address:
        use_endpoint(monkeypatch, address)
        yield handler
    huggingface_hub.close_session()


@pytest.fixture
def unreachable(monkeypatch):
    use_endpoint(monkeypatch, "http://127.0.0.1:9")


def use_endpoint(monkeypatch, url):
    # Read from HF_ENDPOINT when huggingface_hub is imported, which other tests have done long ago.
    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def fetched(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".cache" not in path.parts[len(folder.parts) :]
    }


def test_the_allowed_files_are_fetched_as_plain_files(server, tmp_path):
    allow = ("config.json", "model.safetensors", "vae/config.json")
    folder = hub.fetch(REPOSITORY, into=tmp_path / "here", allow=allow)
    assert folder == tmp_path / "here"
    assert fetched(folder) == {name: FILES[name] for name in allow}
    assert not any(path.is_symlink() for path in folder.rglob("*"))


def test_nothing_but_the_repository_is_asked_for(server, tmp_path):
    hub.fetch(REPOSITORY, into=tmp_path / "here", allow=("config.json",))
    assert set(server.requested) == {
        f"/api/models/{REPOSITORY}/revision/main",
        f"/api/models/{REPOSITORY}/tree/{COMMIT}",
        f"/{REPOSITORY}/resolve/{COMMIT}/config.json",
    }


def test_the_client_tells_its_version_and_nothing_of_the_machine(server, tmp_path):
    hub.fetch(REPOSITORY, into=tmp_path / "here", allow=("config.json",))
    (user_agent,) = server.user_agents
    told = {part.split("/")[0].strip() for part in user_agent.split(";")}
    assert told == {"unknown", "hf_hub", "python"}


def test_a_second_fetch_transfers_nothing_again(server, tmp_path):
    for _ in range(2):
        hub.fetch(REPOSITORY, into=tmp_path / "here", allow=("config.json",))
    assert server.requested.count(f"/api/models/{REPOSITORY}/tree/{COMMIT}") == 1


def test_a_folder_that_was_fetched_whole_is_used_without_the_hub(server, tmp_path, monkeypatch):
    hub.fetch(REPOSITORY, into=tmp_path / "here", allow=("config.json",))
    use_endpoint(monkeypatch, "http://127.0.0.1:9")
    hub.fetch(REPOSITORY, into=tmp_path / "here", allow=("config.json",))
    (tmp_path / "here" / "config.json").unlink()
    with pytest.raises(HubError, match="cannot be reached"):
        hub.fetch(REPOSITORY, into=tmp_path / "here", allow=("config.json",))


@pytest.mark.parametrize(
    ("repository", "reason"),
    [
        ("org/unknown", "no such repository"),
        ("org/gated", "set HF_TOKEN"),
        ("org/broken", "500"),
        ("org/bad..name", "no valid repository name"),
    ],
)
def test_an_error_of_the_hub_is_one_line_with_the_repository(server, tmp_path, repository, reason):
    with pytest.raises(HubError, match=reason) as raised:
        hub.fetch(repository, into=tmp_path / "here", allow=("config.json",))
    assert str(raised.value).startswith(f"{repository}: ")
    assert "\n" not in str(raised.value)


def test_a_hub_out_of_reach_is_an_error_of_ours(unreachable, tmp_path):
    with pytest.raises(HubError, match="org/autoencoder: the hub cannot be reached"):
        hub.fetch(REPOSITORY, into=tmp_path / "here", allow=("config.json",))


def test_offline_mode_is_an_error_of_ours(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    with pytest.raises(HubError, match="org/autoencoder: the hub cannot be reached"):
        hub.fetch(REPOSITORY, into=tmp_path / "here", allow=("config.json",))
    huggingface_hub.close_session()


def test_a_repository_without_any_allowed_file_is_an_error(server, tmp_path):
    with pytest.raises(HubError, match=r"holds none of manifest\.json"):
        hub.fetch(REPOSITORY, into=tmp_path / "here", allow=("manifest.json",))


def test_a_full_disk_is_told_apart(monkeypatch, tmp_path):
    def fail(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(ResourceError, match="no space left"):
        hub.fetch(REPOSITORY, into=tmp_path, allow=("config.json",))


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"DCAE_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a/hub/org--autoencoder"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/dcae-export/hub/org--autoencoder"),
        ({"HOME": "/c"}, "/c/.cache/dcae-export/hub/org--autoencoder"),
    ],
)
def test_the_cache_is_where_the_environment_says(monkeypatch, environment, folder):
    for name in ("DCAE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(hub.cache_folder(REPOSITORY)) == folder


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("mit-han-lab/dc-ae-f32c32-in-1.0", True),
        ("f32", False),
        ("a/b/c", False),
        ("./a", False),
        ("../a", False),
        ("/a/b", False),
        ("org/", False),
        ("org/na me", False),
    ],
)
def test_a_repository_name_is_two_plain_words(text, verdict):
    assert hub.is_repository_name(text) is verdict


def test_a_local_path_is_no_repository_name(monkeypatch, tmp_path):
    (tmp_path / "org" / "autoencoder").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert not hub.is_repository_name(REPOSITORY)
