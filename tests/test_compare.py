"""`earwise compare` and `earwise open`."""

import json
import shutil
from pathlib import Path

import pytest
from earwise_process import earwise

from earwise.errors import InputError
from earwise.use.compare import compare, write_page


def test_a_run_differs_from_itself_by_nothing(small_run: Path) -> None:
    rows = compare(str(small_run), str(small_run))
    names = {(row.benchmark, row.model) for row in rows}
    assert {("textvqa", "base"), ("realworldqa", "Self-KD + layers")} <= names
    assert all(row.value == 0 and row.first == row.second for row in rows)
    summary = json.loads((small_run / "summary.json").read_text())
    spoken = next(row for row in rows if (row.benchmark, row.view) == ("textvqa", "image_text"))
    assert spoken.first == pytest.approx(summary["models"]["base"]["textvqa"]["views"]["image_text"]["score"])


def test_a_difference_is_paired_by_the_items_of_both(small_run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(small_run, other, ignore=shutil.ignore_patterns("wav", "images", "checkpoints"))
    kept = []
    for seed in (0, 1):
        file = other / f"stages/seed{seed}/evaluate.base/scores.jsonl"
        records = [json.loads(line) for line in file.read_text().splitlines()]
        mine = [one["record"] for one in records]
        lost = [one for one in mine if (one["source"], one["view"]) == ("textvqa", "image_text")][:4]
        items = {one["item"] for one in lost[:1]}
        left = [one for one in mine if one["item"] not in items]
        for one in left:
            if one["item"] in {other["item"] for other in lost[1:]}:
                one["value"] = 0.0
        kept.append([one for one in left if (one["source"], one["view"]) == ("textvqa", "image_text")])
        rewrite(file, left)
    (row,) = [
        row
        for row in compare(f"{small_run}:base", f"{other}:base")
        if (row.benchmark, row.view) == ("textvqa", "image_text")
    ]
    assert row.n == len(kept[0]) == 5
    assert row.second == pytest.approx(100 * sum(one["value"] for one in kept[0]) / 5)
    assert row.value == pytest.approx(row.second - row.first)
    assert row.ci95[0] <= row.value <= row.ci95[1]


def rewrite(file: Path, records: list) -> None:
    from earwise.records import Score
    from earwise.work.store import Store

    file.unlink()
    with Store(file, Score) as store:
        for record in records:
            store.append(Score.model_validate(record))


def test_the_command_prints_a_table_and_writes_a_page(small_run: Path, tmp_path: Path) -> None:
    arguments = ("compare", f"{small_run}:aligned", f"{small_run}:self_kd_layers")
    result = earwise(tmp_path, *arguments, "--page", "page.html")
    assert (result.code, result.stderr) == (0, "")
    assert "second - first" in result.stdout
    rows = json.loads(earwise(tmp_path, *arguments, "--json").stdout)
    page = (tmp_path / "page.html").read_text()
    for row in rows:
        assert f"{row['value']:+.1f}" in result.stdout
        assert f"{row['value']:+.1f}" in page


def test_names_on_the_page_are_escaped(small_run: Path, tmp_path: Path) -> None:
    write_page(compare(str(small_run), str(small_run)), "<script>1</script>", "b", tmp_path / "page.html")
    assert "<script" not in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("RUN:nobody", "RUN:base", "no scores of 'nobody'"),
        ("RUN:base", "RUN", "one side names a training"),
        ("RUN", "nowhere", "no run folder"),
    ],
)
def test_what_cannot_be_compared_is_said(small_run: Path, first: str, second: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        compare(first.replace("RUN", str(small_run)), second.replace("RUN", str(small_run)))


def test_a_report_is_opened(small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    from typer.testing import CliRunner

    from earwise.cli import app

    result = CliRunner().invoke(app, ["open", str(small_run)])
    assert result.exit_code == 0
    assert opened == [(small_run / "report.html").resolve().as_uri()]
    missing = earwise(tmp_path, "open", "nowhere")
    assert (missing.code, missing.stderr.count("\n")) == (2, 1)
    assert "no report yet" in missing.stderr
