"""Find the bundle that a user means: a folder, or a repository of the hub."""

from pathlib import Path

import click

from dcae_export.errors import HubError

bundle_argument = click.argument("bundle", metavar="BUNDLE")
optional_bundle_argument = click.argument("bundle", metavar="[BUNDLE]", required=False)


def locate_bundle(name: str) -> Path:
    """The folder of a bundle; one that is named ORG/NAME is fetched, its manifest first.

    Raises:
        HubError: There is no such folder, and the hub has no such bundle or cannot be reached.
        BundleError: The repository's manifest is malformed.
        RefusedError: The manifest names a path outside the bundle.
    """
    from dcae_export import hub
    from dcae_export.bundle.manifest import MANIFEST_NAME
    from dcae_export.bundle.manifest_file import read_manifest

    if not hub.is_repository_name(name):
        return Path(name).expanduser()
    try:
        folder = hub.fetch(name, allow=(MANIFEST_NAME,))
        # The manifest's names have passed its checks: none is a pattern, and none leads out of the folder.
        return hub.fetch(name, allow=(MANIFEST_NAME, *read_manifest(folder).files))
    except HubError as error:
        raise HubError(f"no such folder here: {name}; and of the hub: {error}") from error
