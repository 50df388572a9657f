"""What is installed beside this package, and whether it is what this package needs."""

import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata

from dcae_export.extras import DISTRIBUTION
from dcae_export.runtime.provider import install_hint

_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^]]*\])?\s*((<[0-9.]+,)?>=(?P<floor>[0-9][0-9.]*)(,<[0-9.]+)?)?"
    r"\s*(;.*extra\s*==\s*['\"](?P<extra>[a-z]+)['\"].*)?"
)
_DEVELOPERS_ONLY = "dev"
# Distributions that own one folder: whichever was installed last has overwritten the other's files.
_ONE_FOLDER = {
    re.compile(r"onnxruntime(-[a-z0-9-]+)?"): install_hint,
    re.compile(r"opencv-(contrib-)?python(-headless)?"): lambda: (
        "pip install opencv-python-headless"
    ),
}
# They carry the prefix and are something else.
_NO_RUNTIMES = {"onnxruntime-extensions", "onnxruntime-genai", "onnxruntime-tools"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirement:
    """A distribution that this package needs; ``extra`` is None where it always does."""

    name: str
    floor: str | None
    extra: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Conflict:
    """Distributions that overwrite each other's files, and the way to have one of them."""

    distributions: tuple[str, ...]
    repair: str


def installed() -> dict[str, str]:
    """The version of every installed distribution, by its normalised name."""
    return {
        normalise(distribution.name): distribution.version
        for distribution in metadata.distributions()
        if distribution.name
    }


def requirements() -> list[Requirement]:
    """What this package's own metadata requires, less what only its developers need."""
    found = (parse_requirement(text) for text in metadata.requires(DISTRIBUTION) or ())
    return [
        requirement
        for requirement in found
        if requirement.extra != _DEVELOPERS_ONLY and requirement.name != DISTRIBUTION
    ]


def python_floor() -> str | None:
    """The lowest Python that this package's own metadata allows."""
    stated = str(metadata.metadata(DISTRIBUTION)["Requires-Python"])
    match = re.search(r">=\s*([0-9.]+)", stated)
    return match[1] if match else None


def parse_requirement(text: str) -> Requirement:
    """Read a requirement of this package, which states a floor or nothing."""
    match = _REQUIREMENT.fullmatch(text.strip())
    assert match is not None, text
    return Requirement(name=normalise(match["name"]), floor=match["floor"], extra=match["extra"])


def is_below(version: str, floor: str) -> bool:
    """Whether a version is older than a floor; what follows its release number is passed over."""
    return _release(version) < _release(floor)


def faults(
    versions: Mapping[str, str], needed: Iterable[Requirement], *, lowest_python: str | None
) -> list[str]:
    """What is missing or too old, each with the line that repairs it."""
    found: list[str] = []
    python = platform.python_version()
    if lowest_python is not None and is_below(python, lowest_python):
        found.append(f"Python {python} is older than {lowest_python}; install a newer one")
    for requirement in needed:
        version = versions.get(requirement.name)
        if version is None and requirement.extra is None:
            found.append(f"{requirement.name} is missing; pip install {_specifier(requirement)}")
        if (
            version is not None
            and requirement.floor is not None
            and is_below(version, requirement.floor)
        ):
            found.append(
                f"{requirement.name} {version} is older than {requirement.floor}; "
                f"pip install -U {_specifier(requirement)}"
            )
    return list(dict.fromkeys(found))


def one_folder_distributions(versions: Iterable[str]) -> list[str]:
    """The installed distributions of ONNX Runtime and OpenCV, whichever they are."""
    return sorted(
        name
        for name in set(versions)
        if any(name.startswith(prefix) for prefix in ("onnxruntime", "ort-", "opencv-"))
    )


def conflicts(versions: Iterable[str]) -> list[Conflict]:
    """The sets of installed distributions of which only one may be."""
    found: list[Conflict] = []
    for pattern, repair_command in _ONE_FOLDER.items():
        names = sorted(name for name in set(versions) - _NO_RUNTIMES if pattern.fullmatch(name))
        if len(names) > 1:
            repair = f"pip uninstall -y {' '.join(names)}, then {repair_command()}"
            found.append(Conflict(distributions=tuple(names), repair=repair))
    return found


def normalise(name: str) -> str:
    """A distribution's name as the package index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _specifier(requirement: Requirement) -> str:
    return f"'{requirement.name}>={requirement.floor}'" if requirement.floor else requirement.name


def _release(version: str) -> tuple[int, ...]:
    match = re.match(r"[0-9]+(\.[0-9]+)*", version)
    numbers = [int(part) for part in match[0].split(".")] if match else []
    # 2.0 is 2.0.0.
    return tuple(numbers + [0] * (6 - len(numbers)))
