"""The workers of `[scale]`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from earwise.recipe.scale import Scale
from earwise.work.cluster import RayData, cores_of
from earwise.work.parallel import ProcessPool, Workers
from earwise.work.threads import usable_cpus


def pool_of(settings: Scale | None, *, runs_model: bool = False) -> Callable[[int], Workers]:
    """A factory for a number of workers; workers that run a model get the GPUs of `settings`."""
    if settings is None or settings.workers == "processes":
        return ProcessPool
    return partial(RayData, address=settings.address, gpus=settings.gpus if runs_model else 0.0)


def cores(settings: Scale | None) -> int:
    """Cores of this machine or of the cluster: the most workers that are useful."""
    if settings is None or settings.workers == "processes":
        return usable_cpus()
    return cores_of(settings.address)
