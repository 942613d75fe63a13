"""Shared fixtures. Nothing is fetched from a hub."""

import os
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import pytest

from earwise.work import arithmetic

arithmetic.this_machine = lambda: arithmetic.Arithmetic("this processor", False, 20.0)
"""Tests compute in float32 on every machine: what they compare is exact there."""

_CACHE = tempfile.TemporaryDirectory(prefix="earwise-cache-")
os.environ["EARWISE_CACHE"] = _CACHE.name
"""Derived files of tests, and of the processes that they start, stay out of the user's own cache."""


@pytest.fixture(scope="session")
def tiny_checkpoints(tmp_path_factory):
    """Random-weight checkpoints of every family, written to disk once."""
    from tiny import FAMILIES

    from earwise.micro.build import write_tiny

    folder = tmp_path_factory.mktemp("checkpoints")
    return {family: write_tiny(folder / f"tiny-{family}", family=family) for family in FAMILIES}
