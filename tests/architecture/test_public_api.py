"""The public interface, letter by letter: a change of it is made here as well, or it is a mistake."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import dcae_export

PACKAGE = Path(dcae_export.__file__).parent

EXPORTED = {
    "dcae_export": ["Autoencoder", "Pipeline", "__version__"],
}
# Everything else is imported from the module that defines it: these packages export no names of their own.
PLAIN_PACKAGES = [
    "dcae_export.bundle",
    "dcae_export.cli",
    "dcae_export.cli.commands",
    "dcae_export.cli.commands.engine",
    "dcae_export.cli.commands.evaluate",
    "dcae_export.cli.commands.train",
    "dcae_export.evaluation",
    "dcae_export.export",
    "dcae_export.export.passes",
    "dcae_export.files",
    "dcae_export.models",
    "dcae_export.pictures",
    "dcae_export.runtime",
    "dcae_export.sampling",
    "dcae_export.training",
    "dcae_export.training.autoencoder",
    "dcae_export.training.data",
    "dcae_export.training.diffusion",
    "dcae_export.training.engine",
    "dcae_export.training.latents",
    "dcae_export.training.report",
]
AUTOENCODER = {
    "check_size": "(self, size, *, mode, name='')",
    "close": "(self)",
    "decode": "(self, latent)",
    "encode": "(self, image)",
    "open": "(bundle, *, provider=CpuOptions(memory_limit=None), threads=None, verify_hashes=True)",
    "reconstruct": "(self, image, *, mode=<Fit.PAD: 'pad'>)",
}
AUTOENCODER_PROPERTIES = {"downsample", "provider"}


def sources() -> list[Path]:
    """The package's Python files."""
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("name", EXPORTED)
def test_a_package_exports_these_names_and_has_them(name):
    package = importlib.import_module(name)
    assert package.__all__ == EXPORTED[name]
    assert all(hasattr(package, exported) for exported in package.__all__)


def test_the_other_packages_export_nothing():
    found = {
        ".".join(("dcae_export", *path.parent.relative_to(PACKAGE).parts))
        for path in PACKAGE.rglob("__init__.py")
    }
    assert sorted(found - set(EXPORTED)) == PLAIN_PACKAGES
    assert not [
        name for name in PLAIN_PACKAGES if hasattr(importlib.import_module(name), "__all__")
    ]


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Autoencoders'"):
        dcae_export.Autoencoders  # noqa: B018


def test_the_autoencoder_has_these_methods_and_no_others():
    public = {
        name: member
        for name, member in inspect.getmembers(dcae_export.Autoencoder)
        if not name.startswith("_")
    }
    assert {name for name, member in public.items() if isinstance(member, property)} == (
        AUTOENCODER_PROPERTIES
    )
    methods = {name: member for name, member in public.items() if callable(member)}
    assert {name: _signature(method) for name, method in methods.items()} == AUTOENCODER
    assert all(inspect.getdoc(member) for member in public.values())


def _signature(method) -> str:
    signature = inspect.signature(method)
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return str(inspect.Signature(bare))


@pytest.mark.parametrize(
    "path", sources(), ids=lambda path: path.relative_to(PACKAGE.parent).as_posix()
)
def test_every_module_and_public_definition_has_a_docstring(path):
    module = ast.parse(path.read_text(encoding="utf-8"))
    definitions = [
        node
        for node in module.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
    ]
    assert ast.get_docstring(module)
    assert [node.name for node in definitions if not ast.get_docstring(node)] == []
