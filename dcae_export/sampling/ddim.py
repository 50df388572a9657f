"""DDIM without noise: Song et al., arXiv 2010.02502, equation 12 with sigma_t = 0.

The network's noise estimate is kept from one level to the next. In terms of the state and the predicted data,
that is noise' / noise * state + (signal' - signal * noise' / noise) * data: the first-order DPM-Solver++.
"""

from itertools import pairwise

from dcae_export.sampling.schedule import Diffusion, data_coefficients
from dcae_export.sampling.spacing import trailing
from dcae_export.sampling.table import Row, Table


def ddim(evaluations: int, diffusion: Diffusion) -> Table:
    """One step for each evaluation, trailing spacing, the last step to clean data; for schedules with betas."""
    rows: list[Row] = []
    for here, there in pairwise(trailing(diffusion.schedule, evaluations)):
        kept = there.noise / here.noise
        rows.append(
            Row(
                t=here.t,
                m=data_coefficients(diffusion, here),
                x=(kept, there.signal - here.signal * kept),
                base="x",
                start=(here.signal, here.noise) if rows else None,
            )
        )
    return Table(init=1.0, rows=tuple(rows))
