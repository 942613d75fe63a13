"""Shared fixtures. Nothing is fetched from a hub."""

import os
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import pytest

from earwise.work import arithmetic

arithmetic.this_machine = lambda: arithmetic.Arithmetic("this processor", False, 20.0)
"""Tests compute in float32 on every machine: what they compare is exact there."""

if "EARWISE_TESTS_CACHE" not in os.environ:  # set in the processes that tests start: they share the folder of theirs
    _CACHE = tempfile.TemporaryDirectory(prefix="earwise-cache-")
    os.environ["EARWISE_CACHE"] = os.environ["EARWISE_TESTS_CACHE"] = _CACHE.name
"""Derived files of tests, and of the processes that they start, stay out of the user's own cache."""


_LONGEST = (
    "test_ranks", "test_scale", "test_asking_in_shards", "test_pipeline", "test_repeats", "test_sharding",
    "test_grpo_training", "test_trainer", "test_contributing", "test_recipes_dry", "test_layer_map_memory",
    "test_source_layer_micro", "test_adding_a_stage", "test_traces_storm",
)  # fmt: skip
"""Files that take longest. They come first, so that workers do not wait for the last of them at the end."""


def pytest_collection_modifyitems(items):
    """Put the longest files first; files and tests keep their order otherwise."""
    place = {name: number for number, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.fixture(scope="session")
def tiny_checkpoints(tmp_path_factory):
    """Random-weight checkpoints of every family, written to disk once."""
    from tiny import FAMILIES

    from earwise.micro.build import write_tiny

    folder = tmp_path_factory.mktemp("checkpoints")
    return {family: write_tiny(folder / f"tiny-{family}", family=family) for family in FAMILIES}


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A finished run of the shipped models (`finished_run.RECIPE`)."""
    from finished_run import finished_run

    return finished_run(tmp_path_factory.mktemp("finished"))
