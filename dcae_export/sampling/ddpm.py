"""Ancestral sampling: Ho et al., arXiv 2006.11239, equations 6 and 7.

A network that has learned variances says where between the two bounds of the reverse step's log-variance the
right one lies (Nichol and Dhariwal, arXiv 2102.09672, equation 15). For others it is the lower bound, the
variance of the forward step's posterior. Nothing is clipped.
"""

import math
from itertools import pairwise

from dcae_export.sampling.schedule import Diffusion, data_coefficients
from dcae_export.sampling.spacing import respaced
from dcae_export.sampling.table import Row, Table


def ddpm(evaluations: int, diffusion: Diffusion) -> Table:
    """One step for each evaluation, indices respaced to both ends; the last adds no noise. For betas only."""
    rows: list[Row] = []
    for here, there in pairwise(respaced(diffusion.schedule, evaluations)):
        kept = here.signal / there.signal
        beta = 1 - kept**2
        posterior = beta * (there.noise / here.noise) ** 2
        s = v = None
        if posterior > 0 and diffusion.learned_variance:
            v = (math.log(posterior), math.log(beta))
        elif posterior > 0:
            s = math.sqrt(posterior)
        rows.append(
            Row(
                t=here.t,
                m=data_coefficients(diffusion, here),
                x=(kept * (there.noise / here.noise) ** 2, beta * there.signal / here.noise**2),
                base="x",
                s=s,
                v=v,
                start=(here.signal, here.noise) if rows else None,
            )
        )
    return Table(init=1.0, rows=tuple(rows))
