"""Whether chains are true: shares over seeds, faithfulness of answers and filters of traces, by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from earwise.evaluate.faithful import (
    Chain,
    compare_faithfulness,
    faithfulness,
    judge_chain,
    read_truth,
    summarise_faithfulness,
)
from earwise.evaluate.filters import summarise_filters
from earwise.evaluate.shares import pooled_share
from earwise.evaluate.summary import ScoreTable
from earwise.recipe.data import FolderData
from earwise.recipe.teach import Traces, Verify
from earwise.records import Item, Score, Trace, View
from earwise.stages import report as report_stage
from earwise.stages.jobs.data import DataJob
from earwise.stages.jobs.teach import TracesJob, VerifyJob
from earwise.traces.filtering import Decision, Step
from earwise.traces.format import parse, render
from earwise.traces.known import KnownChain
from earwise.work.store import write_jsonl

TRUE = "A bell rings at one. A horn blows at three."


def score(
    n: int, value: float, *, model: str = "sft", source: str = "sounds", view: View = "sound_text", said: str = "x"
) -> Score:
    return Score(
        item=f"q{n}", source=source, model=model, view=view, cluster=f"c{n}", prediction=said, value=value,
        invalid=False,
    )  # fmt: skip


def many(values: list[float], **about: Any) -> list[Score]:
    return [score(n, value, **about) for n, value in enumerate(values)]


# Shares


def test_a_pooled_share_counts_cases_of_all_seeds() -> None:
    """3 hits of 4 cases and 0 of 1: 3 of 5 together, not the mean of the two."""
    found = pooled_share(np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[2.0, 2.0], [1.0, 0.0]]), ["a", "b"])
    assert found is not None
    assert (found["value"], found["n"], found["by_seed"]) == (pytest.approx(0.6), 5, [0.75, 0.0])
    assert found["ci95"] == pytest.approx([1 / 3, 1])  # cluster a twice: 2 of 6; b twice: 4 of 4


def test_a_share_of_nothing_is_unknown_and_one_cluster_has_no_interval() -> None:
    assert pooled_share(np.zeros((1, 2)), np.zeros((1, 2)), ["a", "b"]) is None
    one = pooled_share(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]]), ["a", "a"])
    assert one == {"value": 0.5, "ci95": None, "n": 2, "by_seed": [0.5]}


# Faithfulness


def answer(reasoning: str) -> str:
    return render(reasoning, "bell")


TRUTH = {f"c{n}": frozenset({"a bell rings at one", "a horn blows at three"}) for n in range(4)}


def test_claims_are_compared_without_case_spaces_and_final_mark(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "truth.jsonl", [KnownChain(id="c0", audio="c0.wav", reasoning=TRUE)])
    truth = read_truth(tmp_path / "truth.jsonl")
    assert truth == {"c0": TRUTH["c0"]}
    said = "A  BELL rings at one! A dog barks at two. a bell rings at one."
    assert judge_chain(said, truth["c0"]) == Chain(claims=2, true=1, omitted=1)


def test_faithfulness_by_hand() -> None:
    """Four answers: all told; one true and one false claim; one true claim alone; no reasoning."""
    cell = [
        score(0, 1, said=answer("a horn blows at three . A bell rings at one .")),
        score(1, 1, said=answer("A bell rings at one. A dog barks at two.")),
        score(2, 0, said=answer("A horn blows at three")),
        score(3, 1, said="bell"),
    ]
    found = faithfulness([cell], TRUTH)
    assert {key: found[key]["value"] for key in ("reasons", "true_chains", "true_claims", "complete_chains")} == {
        "reasons": 0.75,
        "true_chains": pytest.approx(2 / 3),
        "true_claims": pytest.approx(4 / 5),
        "complete_chains": pytest.approx(1 / 3),
    }
    assert (found["n"], found["no_truth"], found["true_claims"]["n"]) == (4, 0, 5)
    low, high = found["true_chains"]["ci95"]
    assert low < 2 / 3 < high


def test_chains_without_truth_or_claims_are_not_judged() -> None:
    cell = [
        score(0, 1, said=answer("a bell rings at one")),
        score(9, 1, said=answer("a cat")),
        score(1, 1, said=answer("...")),
    ]
    found = faithfulness([cell], TRUTH)
    assert (found["reasons"]["value"], found["no_truth"], found["true_chains"]["n"]) == (pytest.approx(2 / 3), 1, 1)


def test_only_models_that_reason_are_in_the_summary() -> None:
    says = [score(n, 1, said=answer(TRUE)) for n in range(2)]
    table = ScoreTable.of({0: [*says, *many([1, 1], model="direct")]}, "base")
    found = summarise_faithfulness(table, TRUTH, "sound_text")
    assert list(found) == ["sft"]
    assert found["sft"]["sounds"]["complete_chains"]["value"] == 1


# Filters


def trace(item: str, sample: int, reasoning: str | None, said: str = "bell") -> Trace:
    text = f"<think>{reasoning}</think><answer>{said}</answer>" if reasoning else "no idea"
    parsed = parse(text)
    return Trace(
        item=item, model="t", view="video_text", sample=sample, text=text, outcome=parsed.outcome.value,
        reasoning=parsed.reasoning, answer=parsed.answer,
    )  # fmt: skip


ITEMS = {
    name: Item(id=name, source="s", question="What sounds?", answers=("bell",), cluster=cluster)
    for name, cluster in (("a", "c0"), ("b", "c1"), ("x", "unknown"))
}
WRONG = "A bell rings at one. A dog barks at two."
TRACES = [
    trace("a", 0, TRUE),
    trace("a", 1, "A bell rings at one."),
    trace("b", 0, WRONG),
    trace("b", 1, TRUE, "horn"),
    trace("b", 2, None),
    trace("x", 0, "A cat meows."),
]
ALL = [one.key for one in TRACES]


def decided(step: Step, shown: list[int], kept: list[int]) -> list[Decision]:
    return [Decision(trace=ALL[n], step=step, kept=n in kept, reason="" if n in kept else "no") for n in shown]


DECISIONS = [
    *decided("format", [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 5]),
    *decided("agreement", [0, 1, 2, 3, 4, 5], [0, 1, 5]),
    *decided("verification", [0, 1, 2, 3, 5], [0, 1, 2]),
    *decided("completeness", [0, 1, 2, 3, 5], [0, 3]),
]


def share(found: dict[str, Any], step: str, key: str) -> Any:
    one = found["steps"][step][key]
    return one and (one["value"], one["n"])


def test_filters_are_held_against_the_truth() -> None:
    found = summarise_filters(TRACES, DECISIONS, ITEMS, TRUTH)
    assert {name: (step["traces"], step["items"]) for name, step in found["steps"].items()} == {
        "all": (6, 3), "well_formed": (5, 3), "agreed": (3, 2), "verified": (3, 2), "agreed_verified": (2, 1),
        "complete": (1, 1),
    }  # fmt: skip
    assert (found["items"], found["drawn"], found["no_truth"]) == (3, 6, 1)
    # Of four chains with a truth, `WRONG` is false, and it and "A bell rings at one." leave out the horn.
    assert share(found, "all", "hallucinated") == (0.25, 4)
    assert share(found, "all", "omitting") == (0.5, 4)
    assert share(found, "all", "true_claims") == (pytest.approx(6 / 7), 7)
    assert share(found, "all", "right") == (pytest.approx(4 / 6), 6)
    assert share(found, "verified", "hallucinated") == (pytest.approx(1 / 3), 3)
    assert share(found, "verified", "recall") == (pytest.approx(2 / 3), 3)
    assert share(found, "complete", "omitting") == (0, 1)
    assert found["steps"]["all"]["labels"] == {"bell": 0.8, "horn": 0.2}
    assert found["steps"]["complete"]["labels"] == {"bell": 1}
    assert found["dropped"]["format"] == {"kept": 5, "no": 1}
    # Of three confirmed chains two are true; of three true ones that were judged two are confirmed.
    assert (found["checker"]["judged"], found["checker"]["precision"]["value"]) == (5, pytest.approx(2 / 3))
    assert (found["checker"]["recall"]["value"], found["checker"]["recall"]["n"]) == (pytest.approx(2 / 3), 3)


def test_filters_without_checker_truth_or_survivors() -> None:
    nothing = [*decided("format", [2, 5], []), *decided("agreement", [2, 5], [])]
    found = summarise_filters([TRACES[2], TRACES[5]], nothing, ITEMS, {})
    assert list(found["steps"]) == ["all", "well_formed", "agreed"]
    assert found["checker"] is None
    assert share(found, "all", "hallucinated") is None
    assert found["steps"]["agreed"] == {
        "traces": 0, "items": 0, "hallucinated": None, "true_claims": None, "omitting": None, "recall": None,
        "right": None, "labels": {},
    }  # fmt: skip
    judged = [*nothing, *decided("verification", [], [])]
    assert "agreed_verified" not in summarise_filters([TRACES[2]], judged, ITEMS, {})["steps"]


def test_verified_has_no_line_of_its_own_where_only_agreed_traces_were_judged() -> None:
    decisions = [one for one in DECISIONS if one.step in ("format", "agreement")] + decided("verification", [0, 1], [0])
    assert list(summarise_filters(TRACES, decisions, ITEMS, TRUTH)["steps"]) == [
        "all", "well_formed", "agreed", "agreed_verified",
    ]  # fmt: skip


def test_the_gold_answer_of_a_choice_is_its_letter() -> None:
    item = ITEMS["a"].model_copy(update={"answers": ("B",), "choices": ("horn", "bell")})
    found = summarise_filters([trace("a", 0, TRUE, "bell"), trace("a", 1, TRUE, "A")], [
        Decision(trace=f"a|t|video_text|{n}", step=step, kept=True) for n in (0, 1) for step in ("format", "agreement")
    ], {"a": item}, TRUTH)  # fmt: skip
    assert (share(found, "all", "right"), found["steps"]["all"]["labels"]) == ((0.5, 2), {"B": 0.5, "A": 0.5})


def test_the_stage_reads_what_the_filters_left(tmp_path: Path) -> None:
    for name, steps in (("traces", ("format", "agreement")), ("verify", ("verification", "completeness"))):
        (tmp_path / name).mkdir()
        write_jsonl(tmp_path / name / "decisions.jsonl", [one for one in DECISIONS if one.step in steps])
    write_jsonl(tmp_path / "traces" / "traces.jsonl", TRACES)
    (tmp_path / "verify" / "trust.json").write_text('{"checker": "ear"}')
    (tmp_path / "traces" / "counts.json").write_text('{"teacher": {"cost": 1}, "failed": {"z": "timeout"}}')
    (tmp_path / "verify" / "counts.json").write_text('{"checker": {"cost": 2}}')
    (tmp_path / "data").mkdir()
    write_jsonl(tmp_path / "data" / "train.jsonl", ITEMS.values())
    chains = [KnownChain(id=f"c{n}", audio="a.wav", reasoning=TRUE) for n in range(4)]
    write_jsonl(tmp_path / "data" / "truth.jsonl", chains)
    data, served = (
        DataJob(source=FolderData(source="folder", path=str(tmp_path / "data"))),
        {"type": "server", "base_url": "http://x/v1", "model": "m"},
    )
    traces = TracesJob(data=data, traces=Traces.model_validate({"teacher": served, "n": 2}))
    settings = Verify.model_validate({"checker": served, "words": ["bell", "horn"]})
    verify = VerifyJob(data=data, drawn=traces, verify=settings, items=traces.traces.items)
    job: Any = SimpleNamespace(data=data, traces=traces, verify=verify)
    context: Any = SimpleNamespace(folder_of=lambda one: tmp_path / one.name)
    found = report_stage._traces(context, job)
    assert found == {
        **summarise_filters(TRACES, DECISIONS, ITEMS, TRUTH),
        "trust": {"checker": "ear"},
        "failed": 1,
        "spent": {"teacher": {"cost": 1}, "checker": {"cost": 2}},
    }


def test_models_that_reason_are_compared_by_what_they_say_that_is_true() -> None:
    """Over two seeds and three items: one is true in 2 and 1 of 3, two in 3 and 2; an answer alone is not true."""
    good, bad = answer("A bell rings at one."), answer("A dog barks.")
    said = {"one": [[good, good, "bell"], [good, bad, bad]], "two": [[good, good, good], [good, bad, good]]}
    scores = {
        seed: [score(n, 1.0, model=model, said=text) for model in said for n, text in enumerate(said[model][seed])]
        + [score(n, 1.0, model="direct", said="bell") for n in range(3)]
        for seed in (0, 1)
    }
    compared = compare_faithfulness(ScoreTable.of(scores, "base"), TRUTH, "sound_text")
    assert list(compared) == ["two"]
    found = compared["two"]["one"]["sounds"]
    assert (found["value"], found["n"], found["by_seed"]) == (pytest.approx(1 / 3), 3, pytest.approx([1 / 3, 1 / 3]))
    assert found["ci95"] == pytest.approx([0, 1])  # all differences are in the third item
