"""Records that are wrong in public files: every command that meets one names the file, the record and the remedy."""

import csv
from pathlib import Path

import pytest
from corpora import conversation, write_librispeech, write_lines, write_llava
from data_folder import COLORS, RECIPE, change_line, write_data_folder
from earwise_process import Result, earwise
from test_corpora_pipeline import MANIFEST
from test_corpora_pipeline import RECIPE as CORPORA


def assert_one_line(result: Result, line: str) -> None:
    assert result.code == 2
    assert result.stderr.startswith(f"earwise: {line}")
    assert result.stderr.count("\n") == 1


def change_table(path: Path, **cells: str | None) -> None:
    """Set cells of the last row; None removes the column."""
    with path.open(newline="") as stream:
        header, *rows = csv.reader(stream, delimiter="\t")
    for name, value in cells.items():
        column = header.index(name)
        if value is None:
            for row in (header, *rows):
                del row[column]
        else:
            rows[-1][column] = value
    path.write_text("".join("\t".join(row) + "\n" for row in (header, *rows)))


def write_realworldqa(benchmarks: Path) -> Path:
    """A file of three questions with three options each."""
    rows = ["index\timage_path\tquestion\tanswer\tA\tB\tC"]
    for n, color in enumerate(COLORS):
        rows.append(f"{n}\timages/{color}.png\tWhat color is it?\t{'ABC'[n]}\t" + "\t".join(COLORS))
    path = benchmarks / "RealWorldQA.tsv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize(
    ("benchmark", "cells", "line"),
    [
        ("mme", {"answer": None}, "{file}: missing columns: answer (it has: index, image, "),
        ("mme", {"image": "%" * 80}, "{file}: line 5 index '3': broken base64 image: "),
        (
            "realworldqa",
            {"C": ""},
            "{file}: line 4 index '2': gold answer 'C' is not among the options ['red', 'blue'] (options were lost: ",
        ),
        (
            "realworldqa",
            {"A": ""},
            "{file}: line 4 index '2': an option is missing in ['', 'blue', 'green'] (options w",
        ),
        ("realworldqa", {"image_path": "../own/images/red.png"}, "{file}: line 4 index '2': "),
    ],
)
def test_a_wrong_benchmark_file(benchmark, cells, line, tmp_path):
    write_data_folder(tmp_path / "own")
    write_realworldqa(tmp_path / "own/benchmarks")
    file = {"mme": "MME.tsv", "realworldqa": "RealWorldQA.tsv"}[benchmark]
    change_table(tmp_path / "own/benchmarks" / file, **cells)
    (tmp_path / "own.toml").write_text(RECIPE)
    said = line.format(file=f"own/benchmarks/{file}")
    chosen = f"evaluate.benchmarks=['colors', '{benchmark}']"
    assert_one_line(earwise(tmp_path, "data", "own.toml", chosen), f"data.media: {said}")
    if "column" in line:
        assert_one_line(earwise(tmp_path, "audit", benchmark, f"own/benchmarks/{file}", "--own"), said)
    else:
        found = earwise(tmp_path, "audit", benchmark, f"own/benchmarks/{file}", "--own").stderr
        record, what = line.removeprefix("{file}: ").partition(": ")[::2]
        assert record in found
        assert what.partition(" (")[0] in found


CASES = {
    "conversation": ({"from": "gpt"}, {}, "mix.json: record 1 (x): the conversation begins with the assistant ("),
    "duration": ({}, {"duration": -2}, "manifest.json: line 1: the duration is negative: -2 s"),
    "path": (
        {},
        {"audio_filepath": "../a.wav"},
        "manifest.json: line 1: the audio path '../a.wav' is outside the data f",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_plan_stops_where_the_run_would(case, tmp_path, tiny_checkpoints):
    turn, row, line = CASES[case]
    (tmp_path / "vlm").symlink_to(tiny_checkpoints["internvl"])
    write_data_folder(tmp_path / "own")
    wrong = {"id": "x", "conversations": [{"from": "human", "value": "Is it red?"}, {"from": "gpt", "value": "no"}]}
    wrong["conversations"][0] |= turn
    write_llava(tmp_path, [conversation(1, "What color is it?", "red"), wrong])
    write_librispeech(tmp_path)
    audio = "LibriSpeech/dev/19/198/19-198-0000.flac"
    write_lines(tmp_path / "manifest.json", [{"audio_filepath": audio, "duration": 1.0, "text": "a star", **row}])
    (tmp_path / "corpora.toml").write_text(CORPORA.replace("[speech]", f"{MANIFEST}[speech]"))
    assert_one_line(earwise(tmp_path, "plan", "corpora.toml"), line)


def test_media_of_an_item_stay_inside_the_data_folder(tmp_path):
    write_data_folder(tmp_path / "own")
    change_line(tmp_path / "own/train.jsonl", 1, audio="../secret.wav")
    (tmp_path / "own.toml").write_text(RECIPE)
    line = "own/train.jsonl: t1: '../secret.wav' leaves the data folder (put the file inside the folder)"
    assert_one_line(earwise(tmp_path, "data", "own.toml"), f"data.media: {line}")


def test_a_recorded_question_cannot_say_its_answer_format_request(tmp_path):
    write_data_folder(tmp_path / "own")
    write_librispeech(tmp_path / "own/benchmarks")
    audio = "LibriSpeech/dev/19/198/19-198-0000.flac"
    colors = tmp_path / "own/benchmarks/colors.jsonl"
    change_line(colors, 1, audio=audio, meta={"recording": {}}, suffix=" Answer with a single word.")
    (tmp_path / "own.toml").write_text(RECIPE.replace("[model]", "[model]", 1))
    result = earwise(tmp_path, "speech", "own.toml", "evaluate.suffix=spoken", "model.base=internvl-micro")
    line = (
        "own/benchmarks: b1: its recording does not say its answer-format request 'Answer with a single word.' (set ev"
    )
    assert_one_line(result, f"speech/benchmarks/colors: {line}")
    assert not list((tmp_path / "runs").rglob("*.wav"))
