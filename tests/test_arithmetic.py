"""Which precision a training computes in: what the recipe asks, what the device can do, what the stage began with."""

import json
import logging
import tomllib
from pathlib import Path

import pytest
import torch
from data_folder import RECIPE
from plain_stage import Stage

from earwise.distil.trainer import training_arguments
from earwise.planning.compile import compile_recipe
from earwise.recipe.read import load_recipe
from earwise.recipe.recipe import Recipe
from earwise.recipe.train import Optimisation, Training
from earwise.work import arithmetic
from earwise.work.arithmetic import Arithmetic, cpu_flags, gpu, processor, resolve, settle, slowdown
from earwise.work.ranks import Ranks
from earwise.work.run import Run

PROJECT = Path(__file__).parent.parent
SHIPPED = sorted((PROJECT / "recipes").rglob("*.toml"))

AMX = processor(frozenset({"avx2", "amx_bf16"}), lambda: 0.125)
AVX2 = processor(frozenset({"avx2", "fma"}), lambda: 60.0)


@pytest.mark.parametrize(
    ("flags", "slower", "chosen", "said"),
    [
        ("fma amx_bf16", 0.125, "bfloat16", "multiplies bfloat16 (measured: 8.0 times faster than float32)"),
        ("avx512f avx512_bf16", 0.5, "bfloat16", "multiplies bfloat16 (measured: 2.0 times faster than float32)"),
        ("asimd bf16", 0.5, "bfloat16", "multiplies bfloat16 (measured: 2.0 times faster than float32)"),
        ("avx2 fma", 60.0, "float32", "emulates bfloat16 (measured: 60 times slower than float32)"),
        ("avx512f avx512_vnni", 1.25, "float32", "emulates bfloat16 (measured: 1.2 times slower than float32)"),
        (
            "amx_bf16", 3.0, "float32",
            "has instructions for bfloat16, but gains nothing by them (measured: 3.0 times slower than float32)",
        ),
        ("", 0.5, "float32", "does not say that it multiplies bfloat16 (measured: 2.0 times faster than float32)"),
    ],
)  # fmt: skip
def test_flags_and_measured_products_must_both_speak_for_bfloat16(flags, slower, chosen, said):
    found = processor(frozenset(flags.split()), lambda: slower)
    assert (found.choice, str(found)) == (chosen, f"this processor {said}")


def test_a_gpu_that_supports_bfloat16_is_not_measured():
    def measure():
        raise AssertionError("measured for nothing")

    new, old = gpu("NVIDIA H200", True, measure), gpu("Tesla T4", False, lambda: 5.5)
    assert (new.choice, str(new)) == ("bfloat16", "the GPU NVIDIA H200 multiplies bfloat16")
    assert old.choice == "float32"
    assert str(old) == "the GPU Tesla T4 emulates bfloat16 (measured: 5.5 times slower than float32)"


def test_flags_are_those_of_the_first_processor_of_either_kind(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("model name\t: Some avx512_bf16\nflags\t\t: fma avx2\n\nflags\t\t: amx_bf16\n")
    assert cpu_flags(path) == {"fma", "avx2"}
    path.write_text("processor\t: 0\nFeatures\t: fp asimd bf16\n")
    assert cpu_flags(path) == {"fp", "asimd", "bf16"}
    assert cpu_flags(tmp_path / "none") == frozenset()


def test_the_products_are_really_timed_and_threads_are_left_as_they_were():
    before = torch.get_num_threads()
    measured = slowdown(torch.device("cpu"))
    assert torch.get_num_threads() == before
    if "avx2" in cpu_flags() and not cpu_flags() & {*arithmetic.INSTRUCTIONS, "avx512f"}:
        assert measured > 1.2, "a processor that emulates bfloat16 is slower with it"
    assert 1e-3 < measured < 1e4


def test_auto_is_said_with_its_reason(caplog):
    said = []
    assert settle(("auto",), None, "seed0/align", said.append, lambda: AVX2) == ("float32",)
    assert settle(("auto", "auto"), None, "seed0/base", said.append, lambda: AMX) == ("bfloat16",) * 2
    assert said == [
        "seed0/align: precision float32: this processor emulates bfloat16 (measured: 60 times slower than float32)",
        "seed0/base: precision bfloat16: this processor multiplies bfloat16 (measured: 8.0 times faster than float32)",
    ]
    assert caplog.records == []


def test_whoever_asks_for_bfloat16_where_it_is_emulated_is_warned_with_the_factor(caplog):
    said = []
    assert settle(("bfloat16",), None, "seed0/align", said.append, lambda: AVX2) == ("bfloat16",)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "seed0/align: uses bfloat16, but this processor emulates bfloat16 (measured: 60 times slower than "
        "float32); set precision = 'auto' or 'float32'"
    )
    assert settle(("bfloat16",), None, "seed0/align", said.append, lambda: AMX) == ("bfloat16",)
    assert (len(caplog.records), said) == (1, [])


def test_phases_that_differ_are_each_what_they_ask(caplog):
    said = []
    asked = ("float32", "auto", "bfloat16")
    assert settle(asked, None, "seed0/base", said.append, lambda: AVX2) == ("float32", "float32", "bfloat16")
    assert (len(said), len(caplog.records)) == (1, 1)


def test_float32_needs_no_measurement():
    def machine():
        raise AssertionError("measured for nothing")

    assert settle(("float32",), None, "seed0/align", print, machine) == ("float32",)
    assert settle((), None, "data", print, machine) == ()


class Case:
    """A run of one stage that trains, on a machine that can be changed between two attempts."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "own.toml").write_text(RECIPE)
        self.recipe, self.folder, self.patch = load_recipe(folder / "own.toml"), folder / "run", monkeypatch
        self.used, self.said, self.measured = [], [], 0

    def run(self, machine: Arithmetic, *asked: str, killed: bool = False) -> list[str]:
        def work(context):
            settings = [Training(steps=1, batch_size=1, lr=1.0, precision=one) for one in asked]
            self.used = [context.settled(one, number).precision for number, one in enumerate(settings)]
            assert self.marker("started.json")["precision"]  # known before anything is computed
            if killed:
                raise KeyboardInterrupt

        def this_machine():
            self.measured += 1
            return machine

        self.said, self.measured = [], 0
        self.patch.setattr(arithmetic, "this_machine", this_machine)
        stage = Stage(name="seed0/align", work=work, settings={"precision": [*asked]}, precision=asked)
        run = Run(self.folder, self.recipe, say=self.said.append)
        if not killed:
            return run.execute([stage])
        with pytest.raises(KeyboardInterrupt):
            run.execute([stage])
        return []

    def marker(self, name: str = "done.json") -> dict:
        return json.loads((self.folder / "stages/seed0/align" / name).read_text())


@pytest.fixture
def case(tmp_path, monkeypatch):
    return Case(tmp_path, monkeypatch)


def test_what_auto_became_is_recorded_and_a_finished_stage_stays_finished_elsewhere(case):
    assert case.run(AMX, "auto") == ["seed0/align"]
    assert (case.used, case.marker()["precision"]) == (["bfloat16"], "bfloat16")
    assert case.marker()["depends"]["settings"] == {"precision": ["auto"]}
    assert case.run(AVX2, "auto") == []
    assert case.measured == 0, "nothing to do, nothing to measure"


@pytest.mark.parametrize(
    ("first", "then", "kept", "warned"), [(AMX, AVX2, "bfloat16", True), (AVX2, AMX, "float32", False)]
)
def test_a_resumed_stage_keeps_its_precision_on_another_machine(case, caplog, first, then, kept, warned):
    case.run(first, "auto", killed=True)
    caplog.clear()
    case.run(then, "auto", killed=True)
    assert case.run(then, "auto") == ["seed0/align"]
    assert (case.used, case.marker()["precision"]) == ([kept], kept)
    assert f"seed0/align: precision {kept}: the stage began with it, and {then}" in case.said
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 2 * warned
    assert all("measured: 60 times slower" in line and "remove the stage's folder" in line for line in warnings)


def test_a_stage_that_starts_over_chooses_again(case):
    case.run(AMX, "auto", killed=True)
    case.run(AVX2, "auto", "auto")
    assert case.used == ["float32", "float32"]
    assert not any("began with it" in line for line in case.said)


def test_phases_that_differ_are_recorded_one_by_one_and_kept(case):
    case.run(AMX, "float32", "auto", killed=True)
    case.run(AVX2, "float32", "auto")
    assert (case.used, case.marker()["precision"]) == (["float32", "bfloat16"], ["float32", "bfloat16"])


class Told(Ranks):
    """One of two processes, joined by a list."""

    def __init__(self, rank: int, channel: list[int]) -> None:
        super().__init__(rank, 2, channel)

    def tell(self, number: int) -> None:
        self.channel.append(number)

    def hear(self) -> int:
        return self.channel.pop(0)

    def meet(self) -> None:
        pass


@pytest.mark.parametrize(("first", "others"), [(AMX, AVX2), (AVX2, AMX)])
def test_processes_that_train_together_take_the_precision_of_the_first(tmp_path, monkeypatch, first, others):
    (tmp_path / "own.toml").write_text(RECIPE)
    recipe, channel, used = load_recipe(tmp_path / "own.toml"), [], []
    stage = Stage(
        name="seed0/align", settings={}, processes="all", precision=("auto",),
        work=lambda context: used.append(context.precision),
    )  # fmt: skip
    for rank, machine in enumerate((first, others)):
        monkeypatch.setattr(arithmetic, "this_machine", lambda machine=machine: machine)
        assert Run(tmp_path / "run", recipe, ranks=Told(rank, channel)).execute([stage]) == ["seed0/align"]
    assert used == [(first.choice,)] * 2
    assert channel == []


def test_a_training_outside_of_a_run_asks_the_machine(monkeypatch, tmp_path):
    monkeypatch.setattr(arithmetic, "this_machine", lambda: AMX)
    assert (resolve("auto"), resolve("float32")) == ("bfloat16", "float32")
    settings = Training(steps=1, batch_size=1, lr=1.0)
    assert training_arguments(settings, tmp_path, seed=0).bf16
    monkeypatch.setattr(arithmetic, "this_machine", lambda: AVX2)
    assert not training_arguments(settings, tmp_path, seed=0).bf16


def trainings(recipe: Recipe) -> list[Optimisation]:
    """Every table of a recipe that says how something is trained."""
    phases = recipe.base.phases if recipe.base else ()
    return [table for table in (recipe.align, recipe.training, recipe.encoder, *phases) if table is not None]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_shipped_recipe_says_auto_in_every_training(path):
    found = trainings(load_recipe(path))
    assert found
    assert {table.precision for table in found} == {"auto"}
    assert path.read_text().count('precision = "auto"') == len(found), "it is written out, not only the default"
    tomllib.loads(path.read_text())


@pytest.mark.parametrize("name", ["quickstart", "micro_base", "micro_encoder", "sightsound/micro", "unified/micro"])
def test_every_stage_that_trains_announces_its_precision(name):
    path = PROJECT / "recipes" / f"{name}.toml"
    for stage in compile_recipe(load_recipe(path)):
        trains = stage.verb in ("base", "encoder", "align", "train", "answers")
        assert bool(stage.precision) == trains, stage.name
        assert {*stage.precision} <= {"auto"}
