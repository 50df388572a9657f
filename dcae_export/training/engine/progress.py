"""How far a run has come: what a checkpoint says beside its tensors."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dcae_export.errors import WeightsError
from dcae_export.training.engine.checkpoint import Checkpoint

Count = Annotated[int, Field(ge=0)]


class RunProgress(BaseModel):
    """Counters and positions after ``step`` steps.

    ``updates`` counts those of the averages, ``skipped`` the steps that moved nothing, ``skipped_in_a_row`` the
    last ones of them. ``positions`` are in the data, one for each process; ``scaler`` is the state of
    float16's loss scale, None in other precisions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    step: Count
    updates: Count
    skipped: Count
    skipped_in_a_row: Count
    positions: list[dict[str, int]]
    scaler: dict[str, float | int] | None

    @classmethod
    def read(cls, checkpoint: Checkpoint) -> Self:
        """The progress of a checkpoint.

        Raises:
            WeightsError: The checkpoint says none.
        """
        try:
            return cls.model_validate(checkpoint.state(), strict=True)
        except ValidationError as error:
            raise WeightsError(f"{checkpoint.path}: its state is not that of a training") from error
