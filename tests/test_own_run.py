"""A run that asks files of one's own, of two formats, beside a built-in benchmark, and asks a changed file again."""

import json
import re
import shutil

from data_folder import RECIPE, write_data_folder
from earwise_process import earwise
from test_data_tsv import picture, write

OWN = """\
[evaluate.own.pope]
file = "tables/POPE.tsv"
[evaluate.own.counts]
file = "own/counts.jsonl"
scoring = "number"
columns = { answer = "count" }
suffix = "Answer with a number."
[guards]
benchmarks = ["pope", "mme"]
"""


def rows(answers):
    return [
        {"index": n, "question": f"Is there dog {n}?", "answer": answer, "image": picture(n), "category": "random"}
        for n, answer in enumerate(answers)
    ]


def test_own_files_are_asked_beside_others(tmp_path, tiny_checkpoints):
    shutil.copytree(tiny_checkpoints["internvl"], tmp_path / "vlm")
    write_data_folder(tmp_path / "own")
    (tmp_path / "tables").mkdir()
    write(tmp_path / "tables/POPE.tsv", rows(["yes", "no", "yes"]))
    records = [{"id": n, "question": f"How many boxes are in picture {n}?", "count": n, "image": "images/red.png",
                "cluster": str(n)} for n in range(3)]  # fmt: skip
    (tmp_path / "own/counts.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    table = RECIPE.replace('"mme"]', '"mme", "pope", "counts"]')
    (tmp_path / "own.toml").write_text(table.replace("[report]\n", OWN + "[report]\n"))
    first = earwise(tmp_path, "run", "own.toml")
    assert (first.code, first.stderr) == (0, "")
    summary = json.loads((tmp_path / "runs/own/summary.json").read_text())
    result = summary["models"]["sft"]["pope"]
    assert result["n"] == 3
    assert result["views"]["image_speech"]["yes_rate"] is not None
    assert summary["models"]["base"]["counts"]["views"]["image_text"]["yes_rate"] is None
    assert summary["guards"]["sft"].keys() == {"pope", "mme"}
    doubtful = {(one["model"], one["benchmark"]): one for one in summary["doubts"]}
    counts = doubtful["base", "counts"]
    assert (counts["right"], counts["chance"]) == (0.0, None)
    assert [each["gold"] for each in counts["examples"]] == ["0", "1", "2"]
    assert "doubtful: base on counts (image_text): 0.0 % of 3 typed answers are right, about none" in first.stdout
    assert len(re.findall(r"^  \d+: answered '.*', gold '\d'$", first.stdout, re.M)) == 3
    page = (tmp_path / "runs/own/report.html").read_text(encoding="utf-8")
    assert page.count("<strong>Doubtful:</strong>") == len(doubtful)

    write(tmp_path / "tables/POPE.tsv", rows(["yes", "no", "yes", "no"]))
    again = earwise(tmp_path, "run", "own.toml")
    assert (again.code, again.stderr) == (0, "")
    assert "seed0/evaluate.sft: starts over" in again.stdout
    assert "input evaluate.own.pope.file changed" in again.stdout
    summary = json.loads((tmp_path / "runs/own/summary.json").read_text())
    assert summary["models"]["sft"]["pope"]["n"] == 4

    write(tmp_path / "tables/POPE.tsv", rows(["yes", ""]))
    bad = earwise(tmp_path, "run", "own.toml")
    assert bad.code == 2
    assert "POPE.tsv: line 3 index '1': empty answer (mend the row or take it out" in bad.stderr
    assert bad.stderr.count("\n") == 1
