"""What a class may be called: one bound from the folder of its pictures to a bundle's manifest."""

from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints

_MAX_LENGTH: Final = 200


def class_name_problem(name: str) -> str | None:
    """Why a class cannot have this name; None where it can."""
    if not name.isprintable():
        return "holds characters that cannot be printed"
    if not 1 <= len(name) <= _MAX_LENGTH:
        return f"has {len(name)} characters, and 1 to {_MAX_LENGTH} are possible"
    return None


def _possible(name: str) -> str:
    problem = class_name_problem(name)
    if problem is not None:
        raise ValueError(problem)
    return name


ClassName = Annotated[
    str, StringConstraints(min_length=1, max_length=_MAX_LENGTH), AfterValidator(_possible)
]
