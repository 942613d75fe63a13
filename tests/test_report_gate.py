"""The page about clips that failed: counts, reasons in words, and results with and without them."""

import json

import report_fixture as fixture

from earwise.report import build_report
from earwise.report.gate import gate_section
from earwise.report.summary import parse_summary


def summary():
    data = fixture.summary()
    passed = {
        model: {name: fixture.result(spoken + 3, 1000, 0.0) for name in ("all", "micro_mme")}
        for model, spoken in fixture.MODELS.items()
    }
    clips = {
        "benchmarks/micro_mme": {"clips": 480, "failed": 36, "reasons": {"wer": 30, "numbers": 8}, "wer": 0.021},
        "train": {"clips": 1000, "failed": 0, "reasons": {}, "wer": None},
    }
    return {**data, "gate": {"clips": clips, "models": passed}}


def test_results_stand_beside_those_without_failures(tmp_path):
    section = gate_section(parse_summary(json.dumps(summary())))
    first = section.rows[[row.model for row in section.rows].index("sft")]
    assert (first.benchmark, first.every.n, first.passed.n) == ("all", 1200, 1000)
    assert (first.every.spoken, first.passed.spoken) == (74.6, 77.6)
    assert {row.passed is None for row in section.rows if row.benchmark == "micro_textvqa"} == {True}
    assert [place.why for place in section.places] == ["word errors 30, number not recovered 8", ""]


def test_the_page_shows_them(tmp_path):
    page = build_report(fixture.write_run(tmp_path / "run", summary()), [], tmp_path / "report.html").read_text()
    assert '<a href="#gate">' in page
    assert "word errors 30, number not recovered 8" in page
    for cell in ("<td>7.5\N{NO-BREAK SPACE}%</td>", "<td>2.1\N{NO-BREAK SPACE}%</td>", "<td>77.6</td>"):
        assert cell in page
    assert "Left out" not in page
    without = build_report(fixture.write_run(tmp_path / "two"), [], tmp_path / "report.html").read_text()
    assert "quality gate" not in without


def test_the_page_says_what_trainings_left_out(tmp_path):
    data = summary()
    data["gate"]["clips"]["train"] |= {"failed": 41, "left_out": 41}
    page = build_report(fixture.write_run(tmp_path / "run", data), [], tmp_path / "report.html").read_text()
    assert "Training runs left out the clips that failed." in page
    assert "<td>4.1\N{NO-BREAK SPACE}%</td><td>41</td>" in page
    assert "<td>7.5\N{NO-BREAK SPACE}%</td><td>–</td>" in page
