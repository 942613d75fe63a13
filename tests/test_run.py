import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from example_recipe import TEXT
from plain_stage import Stage

from earwise.errors import EarwiseError, InputError
from earwise.recipe.read import load_recipe
from earwise.records import Verdict
from earwise.work import provenance
from earwise.work.fingerprints import changes
from earwise.work.job import StageContext
from earwise.work.markers import Marker
from earwise.work.run import Run
from earwise.work.store import Store


class Plan:
    """Three stages, `data -> train.a -> report`, whose works are counted and may be replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls, self.said = folder, [], []
        self.outside = folder.parent / "items.txt"
        self.outside.write_text("items")
        self.recipe_file = folder.parent / "quick.toml"
        self.recipe_file.write_text(TEXT)
        self.works: dict[str, Callable[[StageContext], None]] = {}
        self.train_settings: dict[str, object] = {"lr": 0.1, "terms": [{"type": "sft", "weight": 1.0}]}

    def stages(self) -> list[Stage]:
        return [
            Stage(name="data", work=self.work, settings={"n": 3}, paths=(self.outside,)),
            Stage(name="seed0/train.a", work=self.work, settings=self.train_settings, needs=("data",), seed=4),
            Stage(name="report", work=self.work, settings={}, needs=("seed0/train.a",), outputs=("summary.json",)),
        ]

    def work(self, context: StageContext) -> None:
        name = context.stage.name
        self.calls.append(name)
        self.works.get(name, lambda context: None)(context)
        (context.folder / "result.txt").write_text(name)
        (context.folder / "of.json").write_text(json.dumps(self._made_of(context)))
        if name == "report":
            (context.run_folder / "summary.json").write_text("{}")

    def _made_of(self, context: StageContext) -> list[object]:
        """What a real stage would make its result of."""
        stage = context.stage
        before = [context.run_folder / "stages" / need / "of.json" for need in stage.needs]
        read = [path.read_text() for path in before]
        hashes = provenance.InputHashes(self.folder / "unused")
        read += [hashes.of(path) for path in stage.inputs.values()]
        return [stage.settings, read]

    def execute(self, only: list[str] | None = None) -> list[str]:
        self.calls, self.said = [], []
        run = Run(
            self.folder, load_recipe(self.recipe_file), self.recipe_file, command=["earwise"], say=self.said.append
        )
        worked = run.execute(self.stages(), only)
        assert worked == self.calls
        return worked

    def marker(self, stage: str, name: str = "done.json") -> dict[str, object]:
        return json.loads((self.folder / "stages" / stage / name).read_text())


ALL = ["data", "seed0/train.a", "report"]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(tmp_path / "run")


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_finished_run_does_nothing(plan: Plan) -> None:
    assert plan.execute() == ALL
    before = snapshot(plan.folder)
    assert plan.execute() == []
    assert snapshot(plan.folder) == before
    assert [re.sub(r"[\d.]+ s", "T", line) for line in plan.said] == [f"{name}: done, T" for name in ALL]


def test_only_runs_what_is_asked_for_and_what_it_needs(plan: Plan) -> None:
    assert plan.execute(only=["seed0/train.a"]) == ["data", "seed0/train.a"]
    assert plan.execute() == ["report"]
    with pytest.raises(ValueError, match="no stage is named 'align'"):
        plan.execute(only=["align"])


def test_a_changed_setting_reruns_what_depends_on_it_and_says_so(plan: Plan) -> None:
    plan.execute()
    left_over = plan.folder / "stages/seed0/train.a/checkpoint"
    left_over.mkdir()
    plan.train_settings = {"lr": 0.2, "terms": [{"type": "sft", "weight": 0.5}, {"type": "logits"}], "steps": 3}
    assert plan.execute() == ["seed0/train.a", "report"]
    assert not left_over.exists()
    changed = 'lr: 0.1 -> 0.2, terms.0.weight: 1.0 -> 0.5, terms.1.type: absent -> "logits", steps: absent -> 3'
    assert f"seed0/train.a: starts over, {changed}" in plan.said
    assert "report: starts over, seed0/train.a was made again with another result" in plan.said
    assert plan.execute() == []


def test_a_changed_input_reruns_everything_after_it(plan: Plan) -> None:
    plan.execute()
    plan.outside.write_text("other")
    assert plan.execute() == ALL
    assert f"data: starts over, input {plan.outside} changed" in plan.said


def test_an_input_that_moves_changes_nothing(plan: Plan) -> None:
    plan.execute()
    plan.outside = plan.outside.rename(plan.outside.with_name("moved.txt"))
    assert plan.execute() == []


def test_a_folder_is_an_input_by_its_names_and_contents(plan: Plan) -> None:
    plan.outside = plan.folder.parent / "folder"
    (plan.outside / "deep").mkdir(parents=True)
    (plan.outside / "deep/a").write_text("1")
    plan.execute()
    assert plan.execute() == []
    (plan.outside / "deep/a").rename(plan.outside / "deep/b")
    assert plan.execute() == ALL


def test_what_a_link_in_an_input_leads_to_belongs_to_it(plan: Plan) -> None:
    elsewhere, plan.outside = plan.folder.parent / "elsewhere", plan.folder.parent / "folder"
    elsewhere.mkdir()
    plan.outside.mkdir()
    (elsewhere / "a").write_text("1")
    (plan.outside / "linked").symlink_to(elsewhere)
    (plan.outside / "itself").symlink_to(plan.outside)
    (elsewhere / "back").symlink_to(plan.outside)
    plan.execute()
    assert plan.execute() == []
    (elsewhere / "a").write_text("2")
    assert plan.execute() == ALL


def test_an_unchanged_input_is_read_once(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    plan.execute()
    monkeypatch.setattr(provenance, "hash_file", lambda path: pytest.fail(f"read {path} again"))
    assert plan.execute() == []


def test_a_missing_input_is_named_before_anything_runs(plan: Plan) -> None:
    plan.outside.unlink()
    with pytest.raises(InputError, match=r"items\.txt: no such file or folder"):
        plan.execute()
    assert plan.calls == []


def test_checks_come_before_the_first_stage_and_only_where_a_stage_will_work(plan: Plan) -> None:
    checked: list[str] = []

    def stages(*names: str) -> list[Stage]:
        check = partial(checked.append, "models")
        return [replace(stage, check=(check,) if stage.name in names else ()) for stage in plan.stages()]

    def refuse() -> None:
        raise InputError("no such model")

    run = Run(plan.folder, load_recipe(plan.recipe_file), plan.recipe_file, say=plan.said.append)
    with pytest.raises(InputError, match=r"^no such model$"):
        run.execute([replace(stage, check=(refuse,)) for stage in plan.stages()])
    assert plan.calls == []
    assert run.running is None
    assert not (plan.folder / "run.json").exists()
    run.execute(stages("seed0/train.a", "report"))
    assert checked == ["models"], "two stages have the same check"
    run.execute(stages("seed0/train.a", "report"))
    assert checked == ["models"], "nothing is to do"
    (plan.folder / "summary.json").unlink()
    run.execute(stages("seed0/train.a"))
    assert checked == ["models"], "the stage that is checked is done"
    (plan.folder / "stages/data/done.json").unlink()
    run.execute(stages("seed0/train.a"))
    assert checked == ["models"] * 2, "what the stage needs is made again, so it may work too"


def test_an_interrupted_stage_continues_in_its_folder(plan: Plan) -> None:
    def interrupted(context: StageContext) -> None:
        (context.folder / "half.txt").write_text("half")
        raise KeyboardInterrupt

    plan.works["seed0/train.a"] = interrupted
    with pytest.raises(KeyboardInterrupt):
        plan.execute()
    assert plan.calls == ["data", "seed0/train.a"]
    plan.works["seed0/train.a"] = lambda context: (context.folder / "half.txt").rename(context.folder / "whole.txt")
    assert plan.execute() == ["seed0/train.a", "report"]
    assert re.fullmatch(r"seed0/train\.a: continues after 0\.\d s", plan.said[1])
    assert (plan.folder / "stages/seed0/train.a/whole.txt").exists()


def test_an_interrupted_stage_with_other_settings_starts_over(plan: Plan) -> None:
    def interrupted(context: StageContext) -> None:
        (context.folder / "half.txt").write_text("half")
        raise KeyboardInterrupt

    plan.works["seed0/train.a"] = interrupted
    with pytest.raises(KeyboardInterrupt):
        plan.execute()
    plan.works, plan.train_settings = {}, {"lr": 0.3}
    assert plan.execute() == ["seed0/train.a", "report"]
    assert not (plan.folder / "stages/seed0/train.a/half.txt").exists()


def test_the_time_of_interrupted_attempts_counts_until_their_last_write(plan: Plan) -> None:
    def interrupted(context: StageContext) -> None:
        time.sleep(0.2)
        context.metrics(1, loss=1.0)
        raise KeyboardInterrupt

    slept_s = 0.2 - 0.02  # a file's time is that of the kernel's last tick, up to 10 ms ago
    plan.works["data"] = interrupted
    began = time.monotonic()
    for attempts in (1, 2):
        so_far = time.monotonic() - began
        with pytest.raises(KeyboardInterrupt):
            plan.execute()
        assert slept_s * (attempts - 1) <= plan.marker("data", "started.json")["seconds"] <= so_far + 0.02
    del plan.works["data"]
    plan.execute()
    assert 2 * slept_s <= plan.marker("data")["seconds"] <= time.monotonic() - began + 0.02


def test_a_failing_stage_is_named_and_the_others_stay(plan: Plan) -> None:
    def fails(context: StageContext) -> None:
        raise EarwiseError("the loss is not finite")

    plan.works["seed0/train.a"] = fails
    run = Run(plan.folder, load_recipe(plan.recipe_file), say=plan.said.append)
    with pytest.raises(EarwiseError, match="the loss is not finite"):
        run.execute(plan.stages())
    assert run.running == "seed0/train.a"
    plan.works = {}
    assert plan.execute() == ["seed0/train.a", "report"]


def test_an_output_that_was_removed_is_made_again_from_the_stages_folder(plan: Plan) -> None:
    plan.execute()
    (plan.folder / "summary.json").unlink()
    plan.works["report"] = lambda context: (context.folder / "result.txt").rename(context.folder / "found.txt")
    assert plan.execute() == ["report"]


def test_an_output_of_a_cleared_stage_goes_with_it(plan: Plan) -> None:
    plan.execute()
    plan.train_settings = {}
    seen: list[bool] = []
    plan.works["report"] = lambda context: seen.append((context.run_folder / "summary.json").exists())
    plan.execute()
    assert seen == [False]


def test_a_promised_output_that_is_not_written_is_a_failure(plan: Plan) -> None:
    stage = Stage(name="report", work=lambda context: None, settings={}, outputs=("summary.json",))
    with pytest.raises(EarwiseError, match=r"without writing summary\.json"):
        Run(plan.folder, load_recipe(plan.recipe_file), say=plan.said.append).execute([stage])


def test_a_stage_is_given_its_folder_seed_settings_and_needs(plan: Plan) -> None:
    def work(context: StageContext) -> None:
        assert context.folder == plan.folder / "stages/seed0/train.a"
        assert context.seed == 4
        data, _, report = plan.stages()
        assert context.stage.settings == plan.train_settings
        assert (context.folder_of(data) / "result.txt").read_text() == "data"
        with pytest.raises(ValueError, match="not among its needs"):
            context.folder_of(report)
        assert list(context.track([1, 2])) == [1, 2]
        assert context.timings_s == {"data": plan.marker("data")["seconds"]}
        context.say("hello")

    plan.works["seed0/train.a"] = work
    plan.execute()
    assert "hello" in plan.said
    assert [stage.verb for stage in plan.stages()] == ["data", "train", "report"]


@pytest.mark.parametrize(
    ("names", "needs", "said"),
    [
        (["a", "a"], (), "a and a would share a folder"),
        (["a", "a/b"], (), "a and a/b would share a folder"),
        (["a/b", "a"], (), "a/b and a would share a folder"),
        (["../a"], (), "is not the name of a stage"),
        (["a/"], (), "is not the name of a stage"),
        (["a", "b"], ("b",), "needs b, which does not come before it"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(plan: Plan, names: list[str], needs: tuple[str, ...], said: str) -> None:
    stages = [Stage(name=name, work=lambda context: None, settings={}, needs=needs) for name in names]
    with pytest.raises(ValueError, match=said):
        Run(plan.folder, load_recipe(plan.recipe_file)).execute(stages)


def test_names_that_only_begin_alike_are_apart(plan: Plan) -> None:
    stages = [Stage(name=name, work=lambda context: None, settings={}) for name in ("train.a", "train.ab", "train")]
    run = Run(plan.folder, load_recipe(plan.recipe_file), say=plan.said.append)
    assert run.execute(stages) == ["train.a", "train.ab", "train"]


def test_what_a_killed_attempt_left_unfinished_is_swept_away(plan: Plan) -> None:
    plan.execute(only=["data"])
    left_over = plan.folder / "stages/data/.done.json.x1y2.part"
    left_over.write_text("{")
    plan.execute()
    assert not left_over.exists()


def test_what_a_killed_worker_left_unfinished_is_swept_away_when_its_stage_ends(plan: Plan) -> None:
    left_over = plan.folder / "stages/data/wav/.clip.wav.x1y2.part"

    def work(context: StageContext) -> None:
        left_over.parent.mkdir()
        left_over.write_text("RIFF")

    plan.works["data"] = work
    plan.execute()
    assert left_over.parent.exists()
    assert not left_over.exists()


def test_two_processes_do_not_share_a_run(plan: Plan) -> None:
    def work(context: StageContext) -> None:
        said = r"run\.lock: the run folder is in use by another process \(wait until that one ends, or choose"
        with pytest.raises(InputError, match=said):
            Run(plan.folder, load_recipe(plan.recipe_file)).execute(plan.stages())

    plan.works["data"] = work
    plan.execute()


def test_provenance_says_where_a_run_came_from(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    state = provenance.Checkout("abc123", "--- a\n+++ b\n", modified=True)
    monkeypatch.setattr(provenance, "checkout", lambda: state)
    plan.execute()
    monkeypatch.setattr(provenance, "checkout", lambda: None)
    plan.train_settings = {}
    plan.execute()
    written = json.loads((plan.folder / "run.json").read_text())
    assert written["recipe"] == "quick"
    first, second = written["attempts"]
    assert first["command"] == ["earwise"]
    assert first["seeds"] == [0, 1]
    began, again = (datetime.fromisoformat(one["started"]) for one in (first, second))
    assert timedelta(0) <= datetime.now(UTC) - again <= datetime.now(UTC) - began < timedelta(minutes=5)
    assert first["recipe_sha256"] == provenance.hash_file(plan.recipe_file)
    assert set(first["versions"]) >= {"python", "earwise", "torch", "transformers", "numpy"}
    assert (first["revision"], first["modified"]) == ("abc123", True)
    assert (plan.folder / first["diff"]).read_text() == state.diff
    assert second["revision"] is None
    assert "diff" not in second
    assert json.loads((plan.folder / "recipe.json").read_text())["training"]["accumulate"] == 1


def test_the_checkout_is_that_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=n", "-c", "user.email=e"]
        done = subprocess.run(
            ["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    package = tmp_path / "src" / "earwise"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("one\n")
    monkeypatch.setattr(provenance.earwise, "__file__", str(package / "__init__.py"))
    (tmp_path / "secret.txt").write_text("old\n")
    git("init", "-q")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "earwise"\n')
    assert provenance.checkout() is None  # inside a repository that does not track the package
    git("add", "src", "secret.txt", "pyproject.toml")
    git("commit", "-qm", "first")
    (tmp_path / "secret.txt").write_text("token\n")
    (tmp_path / "new.txt").write_text("")
    assert provenance.checkout() == provenance.Checkout(git("rev-parse", "HEAD"), "", modified=False)
    (package / "__init__.py").write_text("two\n")
    state = provenance.checkout()
    assert state is not None
    assert "-one\n+two\n" in state.diff
    assert "token" not in state.diff
    assert state.modified
    (package / "__init__.py").write_text("one\n")
    (package / "new.py").write_text("")
    assert provenance.checkout() == provenance.Checkout(git("rev-parse", "HEAD"), "", modified=True)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\n')
    assert provenance.checkout() is None  # inside another project that has a copy of the package


def test_changes_are_said_by_their_dotted_key() -> None:
    def marker(depends: dict[str, object], **made_from: str) -> Marker:
        same = {"settings": {}, "seed": 0, "inputs": {}, "version": 1}
        return Marker("train", "", same | depends, made_from=made_from)

    old, new = {"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}
    assert changes(marker({"settings": old}), marker({"settings": new, "seed": 1, "inputs": {"x": "2"}})) == (
        "a.b.1: 2 -> 3, seed: 0 -> 1, input x changed"
    )
    assert changes(marker({}, s="1", gone="1"), marker({}, s="2", more="1")) == (
        "now without gone, now with more, s was made again with another result"
    )
    many = marker({"settings": {"a": list(range(6))}})
    assert changes(many, marker({})) == (
        "a.0: 0 -> absent, a.1: 1 -> absent, a.2: 2 -> absent, a.3: 3 -> absent, and 2 more"
    )


def killable_stages() -> list[Stage]:
    """Three stages whose results depend on each other, slow enough to be killed inside; run by the test below."""

    def speak(context: StageContext) -> None:
        with Store(context.folder / "verdicts.jsonl", Verdict) as store:
            for index in context.track(range(40)):
                verdict = Verdict(trace=f"t{index}", checker="c", accepted=True, reason=str(index))
                if verdict.key not in store:
                    time.sleep(0.002)
                    store.append(verdict)

    def train(context: StageContext) -> None:
        checkpoint = context.folder / "checkpoint"
        last, value = json.loads(checkpoint.read_text()) if checkpoint.exists() else (0, 0)
        context.metrics.rewind(last)
        for step in range(last + 1, 41):
            value = (value * 31 + step) % 1009
            context.metrics(step, value=value)
            time.sleep(0.002)
            if step % 7 == 0:
                checkpoint.with_suffix(".tmp").write_text(json.dumps([step, value]))
                checkpoint.with_suffix(".tmp").replace(checkpoint)

    def report(context: StageContext) -> None:
        spoken, trained, _ = killable_stages()
        lines = (context.folder_of(trained) / "metrics.jsonl").read_text()
        records = (context.folder_of(spoken) / "verdicts.jsonl").read_text()
        (context.run_folder / "summary.json").write_text(lines)
        time.sleep(0.1)
        (context.run_folder / "summary.json").write_text(json.dumps([lines, records]))

    return [
        Stage(name="speech", work=speak, settings={}),
        Stage(name="train", work=train, settings={}, needs=("speech",)),
        Stage(name="report", work=report, settings={}, needs=("speech", "train"), outputs=("summary.json",)),
    ]


def test_killed_in_every_stage_it_ends_with_the_same_output(tmp_path: Path) -> None:
    (tmp_path / "quick.toml").write_text(TEXT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}

    def start(folder: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, __file__, str(tmp_path / "quick.toml"), str(tmp_path / folder)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)

    assert start("whole").wait() == 0
    rng = random.Random()
    for stage in ("speech", "train", "report"):
        process = start("killed")
        folder = tmp_path / "killed/stages" / stage
        while not (folder / "started.json").exists():
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.06))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert not (folder / "done.json").exists()
    assert start("killed").wait() == 0
    for name in ("summary.json", "stages/speech/verdicts.jsonl", "stages/train/metrics.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


if __name__ == "__main__":
    Run(Path(sys.argv[2]), load_recipe(Path(sys.argv[1]))).execute(killable_stages())
