"""What a finished stage vouches for: files that are lost or damaged later open it again, by itself."""

import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from plain_stage import Stage
from test_run import ALL, Plan, snapshot

from earwise.errors import InputError
from earwise.stages.jobs.models import BaseJob
from earwise.work import manifest, run
from earwise.work.job import StageContext
from earwise.work.manifest import Manifest


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    plan = Plan(tmp_path / "run")
    plan.execute()
    return plan


def result_of(plan: Plan, stage: str) -> Path:
    return plan.folder / "stages" / stage / "result.txt"


def flip(path: Path) -> None:
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def flip_in_secret(path: Path) -> None:
    """With its old time of change: a person's tool may set it, the kernel's own second time stays."""
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILED: list[tuple[Callable[[Path], None], str]] = [
    (Path.unlink, "it is missing"),
    (cut, "it has 12 bytes and had 13"),
    (flip, "its content changed"),
    (flip_in_secret, "its content changed"),
    (replace_by_folder, "it is not a file any more"),
]


@pytest.mark.parametrize(("spoil", "what"), SPOILED)
def test_a_damaged_file_opens_its_stage_again_and_says_what_is_repeated(
    plan: Plan, spoil: Callable[[Path], None], what: str
) -> None:
    spoil(result_of(plan, "seed0/train.a"))
    assert plan.execute() == ["seed0/train.a"]
    assert plan.said[1] == f"seed0/train.a: damaged: result.txt: {what}"
    assert re.match(r"seed0/train\.a: all of it is done again, which took \S+ s \(to keep it, stop now", plan.said[2])
    assert result_of(plan, "seed0/train.a").read_text() == "seed0/train.a"
    assert plan.execute() == []


def test_what_was_made_from_a_stage_follows_only_if_it_comes_out_differently(plan: Plan) -> None:
    def other(context: StageContext) -> None:
        (context.folder / "more.txt").write_text("more")

    result_of(plan, "data").unlink()
    plan.works["data"] = other
    assert plan.execute() == ["data", "seed0/train.a"]  # the training comes out as it was, so the report stays
    assert "seed0/train.a: starts over, data was made again with another result" in plan.said
    assert plan.execute() == []


@pytest.mark.parametrize(("spoil", "what"), [(cut, "it has 1 bytes and had 2"), (flip, "its content changed")])
def test_a_damaged_output_is_made_again_from_the_stages_folder(
    plan: Plan, spoil: Callable[[Path], None], what: str
) -> None:
    spoil(plan.folder / "summary.json")
    plan.works["report"] = lambda context: (context.folder / "result.txt").rename(context.folder / "found.txt")
    assert plan.execute() == ["report"]
    assert f"report: damaged: summary.json: {what}" in plan.said
    assert (plan.folder / "summary.json").read_text() == "{}"


def speaking(calls: list[str]) -> Stage:
    """A stage that goes on from what is there of two files, and lists them."""

    def work(context: StageContext) -> None:
        for name in ("a.wav", "b.wav"):
            if not (context.folder / name).exists():
                calls.append(name)
                (context.folder / name).write_text(name)
        assert not (context.folder / "list").exists()
        (context.folder / "list").write_text("a b")

    return Stage(name="speech", work=work, settings={}, goes_on_from="*.wav")


def test_what_stands_for_itself_is_kept_and_the_rest_is_made_again(plan: Plan) -> None:
    calls: list[str] = []
    plan.stages = lambda: [speaking(calls)]  # type: ignore[method-assign]
    made = run.Run(plan.folder, plan_recipe(plan), say=plan.said.append)
    assert made.execute(plan.stages()) == ["speech"]
    (plan.folder / "stages/speech/a.wav").unlink()
    plan.said = []
    again = run.Run(plan.folder, plan_recipe(plan), say=plan.said.append)
    assert again.execute(plan.stages()) == ["speech"]
    assert calls == ["a.wav", "b.wav", "a.wav"]
    assert plan.said[:2] == ["speech: damaged: a.wav: it is missing", "speech: opened again, 1 of 3 files are kept"]
    assert again.execute(plan.stages()) == []


def plan_recipe(plan: Plan):  # type: ignore[no-untyped-def]
    from earwise.recipe.read import load_recipe

    return load_recipe(plan.recipe_file)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"stage": 1, "depends": []}', b"\xff\xfe\x00", b"[" * 100_000], ids=range(6)
)
@pytest.mark.parametrize("marker", ["done.json", "started.json"])
def test_a_damaged_marker_is_not_believed(plan: Plan, marker: str, content: bytes) -> None:
    folder = plan.folder / "stages/data"
    if marker == "started.json":
        (folder / "done.json").unlink()
    (folder / marker).write_bytes(content)
    assert plan.execute() == ["data"]
    why = "is damaged and is ignored", "was written by an earlier earwise with another format"
    assert any(f"{marker}: {reason}" in line for line in plan.said for reason in why)
    assert plan.execute() == []


def test_a_run_that_was_copied_is_read_once_and_is_whole(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(plan.folder, plan.folder.with_name("copy"), copy_function=shutil.copy)
    plan.folder = plan.folder.with_name("copy")
    assert plan.execute() == []
    before = snapshot(plan.folder)
    monkeypatch.setattr(manifest, "_digest", lambda path: pytest.fail(f"read {path} again"))
    assert plan.execute() == []
    assert snapshot(plan.folder) == before


def test_all_files_are_read_where_that_is_asked_for(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(manifest, "_digest", lambda path: read.append(path.name) or "other")
    made = run.Run(plan.folder, plan_recipe(plan), say=plan.said.append, read_all=True)
    plan.calls = []
    assert made.execute(plan.stages()) == ALL
    assert read == ["of.json", "result.txt"] * 3


@pytest.mark.parametrize("marker", ["done.json", "started.json"])
def test_a_stage_of_an_earlier_version_starts_over_and_says_why(plan: Plan, marker: str) -> None:
    for name in ("done.json", "started.json"):
        path = plan.folder / "stages/data" / name
        told = json.loads(path.read_text())
        path.write_text(json.dumps({key: value for key, value in told.items() if key != "format"}))
    if marker == "started.json":
        (plan.folder / "stages/data/done.json").unlink()
    assert plan.execute() == ["data"]
    path = plan.folder / "stages/data" / marker
    assert f"{path}: was written by an earlier earwise with another format, so the stage starts over" in plan.said
    assert plan.execute() == []


def test_a_link_that_leads_nowhere_opens_its_stage_again(plan: Plan) -> None:
    media = plan.folder.parent / "media"
    media.mkdir()

    def link(context: StageContext) -> None:
        manifest.link(context.folder / "media", media)

    plan.works["data"] = link
    result_of(plan, "data").unlink()
    plan.execute()
    assert plan.execute() == []
    there = plan.folder / "stages/data/media"
    there.unlink()
    assert plan.execute() == ["data"]
    assert "data: damaged: media: the link is missing or leads nowhere" in plan.said
    there.unlink()
    shutil.copytree(media, there)  # a copy of the run without links
    assert plan.execute() == []
    result_of(plan, "data").unlink()
    assert plan.execute() == ["data"]
    assert there.is_symlink()


def test_all_that_is_vouched_for_is_on_the_disk_before_the_marker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())), real(fd)))
    plan = Plan(tmp_path / "run")
    plan.execute(only=["data"])
    folder = plan.folder / "stages/data"
    marker = next(n for n, path in enumerate(synced) if "/.done.json." in path)
    assert {str(folder / "result.txt"), str(folder), str(folder.parent), str(plan.folder)} <= set(synced[:marker])
    assert str(folder) in synced[marker:]


def put_in_place_of(path: Path) -> None:
    """A file where a folder was, or the other way round."""
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("x")
    else:
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("place", ["stages", "stages/seed0", "run.json", "recipe.json"])
def test_something_else_in_the_place_of_a_runs_folder_is_named(plan: Plan, place: str) -> None:
    path = plan.folder / place
    put_in_place_of(path)
    plan.train_settings = {}
    with pytest.raises(InputError, match=re.escape(f"{path}")):
        plan.execute()
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    plan.execute()
    assert plan.execute() == []


def test_a_file_in_the_place_of_a_stages_folder_goes(plan: Plan) -> None:
    put_in_place_of(plan.folder / "stages/seed0/train.a")
    assert plan.execute() == ["seed0/train.a"]
    assert plan.execute() == []


def test_a_damaged_list_of_hashes_is_made_again(plan: Plan) -> None:
    for content in ("{", "[]", '{"a": 1}'):
        (plan.folder / "inputs.json").write_text(content)
        assert plan.execute() == []


def test_a_damaged_list_of_attempts_says_so(plan: Plan) -> None:
    (plan.folder / "run.json").write_text("{}")
    plan.train_settings = {}
    with pytest.raises(InputError, match=r"run\.json: is not a list of attempts \(delete it to begin a new one\)"):
        plan.execute()


def test_a_base_keeps_the_phases_before_the_damage() -> None:
    base = BaseJob.keeps
    names = ["start/a", "phase0/model/a", "phase0/done", "phase1/model/a", "phase10/model/a", "model"]
    assert [name for name in names if base(None, name, {"model"})] == names[:-1]
    assert [name for name in names if base(None, name, {"phase10/model/a", "phase1/model/b"})] == names[:3]
    assert [name for name in names if base(None, name, {"start/b"})] == []


def test_a_kind_of_stage_that_computes_something_else_starts_over(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = plan.stages()
    newer = [replace(stage, version=2 if stage.name == "seed0/train.a" else 1) for stage in stages]
    monkeypatch.setattr(plan, "stages", lambda: newer)
    assert plan.execute() == ["seed0/train.a"]  # the report stays, as the training comes out as it was
    assert "seed0/train.a: starts over, version: 1 -> 2" in plan.said


def test_versions_are_recorded_for_each_stage_and_each_attempt(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, dict[str, str]]] = []
    monkeypatch.setattr(run, "code_versions", lambda: {"earwise": "99"})
    plan.train_settings = {}

    def interrupted(context: StageContext) -> None:
        raise KeyboardInterrupt

    plan.works["seed0/train.a"] = interrupted
    with pytest.raises(KeyboardInterrupt):
        plan.execute()
    monkeypatch.setattr(run, "code_versions", lambda: {"earwise": "100"})
    plan.works = {"report": lambda context: seen.append(context.made_with)}
    plan.execute()
    assert plan.marker("data")["versions"]["earwise"] not in ("99", "100")
    assert plan.marker("seed0/train.a")["versions"] == {"earwise": "100"}
    assert plan.marker("seed0/train.a")["earlier_versions"] == [{"earwise": "99"}]
    assert seen[0]["seed0/train.a"] == {"earwise": "100"}


def test_the_content_of_a_folder_is_that_of_its_names_and_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/a").write_text("1")
    (tmp_path / ".hidden").write_text("1")
    one = Manifest.of(tmp_path)
    assert list(one.files) == ["deep/a"]
    (tmp_path / "metrics.jsonl").write_text("1")
    assert Manifest.of(tmp_path).content == one.content
    (tmp_path / "deep/a").rename(tmp_path / "deep/b")
    assert Manifest.of(tmp_path).content != one.content


def test_a_file_that_cannot_be_looked_at_is_damaged(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Manifest.of_files(plan.folder, ["summary.json"])

    def refused(path: str) -> os.stat_result:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as broken:
        broken.setattr(os, "stat", refused)
        damage = held.damage()
    assert damage == [("summary.json", "Input/output error")]


@pytest.mark.parametrize("content", [b"", b"{", bytes(40), None])
def test_a_damaged_recipe_of_a_finished_run_is_written_again(plan: Plan, content: bytes | None) -> None:
    path = plan.folder / "recipe.json"
    before = path.read_bytes()
    path.unlink() if content is None else path.write_bytes(content)
    assert plan.execute() == []
    assert path.read_bytes() == before
