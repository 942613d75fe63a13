"""Public question files, read from the folder that EARWISE_PUBLIC_DATA names, with a stub sound for each; else skipped.

The files are `mmau-test-mini.json.gz`, `MMAR-meta.jsonl.gz`, `music_avqa_json.json.gz`,
`music_avqa_json_update.json.gz` and `HallusionBench.json.gz`, as their repositories publish them, compressed. No sound
and no picture is needed.
"""

import csv
import gzip
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from test_data_tsv import picture
from videos import write_video

from earwise.data.media import save_wav
from earwise.data.tsv import read_tsv
from earwise.evaluate.audit import audit
from earwise.evaluate.benchmarks import aggregate, gold_answers, load_benchmark, score_predictions
from earwise.evaluate.scoring import score

PUBLIC = os.environ.get("EARWISE_PUBLIC_DATA")
pytestmark = pytest.mark.skipif(not PUBLIC, reason="needs public files: EARWISE_PUBLIC_DATA names no folder of them")


def unpack(name, target):
    content = gzip.decompress((Path(PUBLIC or "") / name).read_bytes())
    target.write_bytes(content)
    text = content.decode()
    return json.loads(text) if name.endswith(".json.gz") else [json.loads(line) for line in text.splitlines() if line]


def stub(folder, paths):
    """The same tenth of a second, or video of two frames, under every name."""
    (folder / "stub").mkdir()
    save_wav(folder / "stub/a.wav", np.tile(np.float32([0.2, -0.2]), 800))
    write_video(folder / "stub/a.mp4", frames=2)
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if not (folder / path).exists():
            (folder / path).hardlink_to(folder / f"stub/a{Path(path).suffix}")


def words(text):
    return set(re.findall(r"\b\w+\b", text.lower()))


def official(answer, said, choices):
    """The released `string_match` of MMAU and MMAR, from its definition on sets of words."""
    other = set().union(*(words(choice) - words(answer) for choice in choices if words(choice) != words(answer)))
    return bool(words(said)) and words(answer) <= words(said) and not words(said) & other


def check_scores(name, items, records):
    """Every row is scored, as the official script scores it, also for each of the wrong options."""
    for item, record in zip(items, records, strict=True):
        for said in (*record["choices"], f"The answer is {record['answer']}", ""):
            value = score(name, gold_answers(name, item), said, item.choices, profile="official")
            assert value == official(record["answer"], said, record["choices"]), (item.id, said)
        assert score(name, gold_answers(name, item), record["answer"], item.choices) == 1


@pytest.mark.parametrize(
    ("name", "packed", "file", "key", "sizes"),
    [
        (
            "mmau", "mmau-test-mini.json.gz", "mmau-test-mini.json", "audio_id",
            {"mmau": 1000, "mmau_sound": 333, "mmau_music": 334, "mmau_speech": 333},
        ),
        ("mmar", "MMAR-meta.jsonl.gz", "MMAR-meta.jsonl", "audio_path", {"mmar": 1000}),
    ],
)  # fmt: skip
def test_choice_questions_load_audit_and_score(tmp_path, name, packed, file, key, sizes):
    records = unpack(packed, tmp_path / file)
    stub(tmp_path, [record[key] for record in records])
    for part, size in sizes.items():
        assert len(load_benchmark(part, tmp_path)) == size
    check_scores(name, load_benchmark(name, tmp_path), records)
    result = audit(name, tmp_path / file)
    assert result.errors == []
    assert set(result.ceiling.values()) == {100.0} or result.ceiling["strict"] == result.ceiling["official"] == 100.0
    odd = [finding for finding in result.findings if finding.check in ("choices", "odd record")]
    gold_twice = [finding for finding in odd if finding.what.endswith("is the right one")]
    blank = [finding for finding in odd if "blank" in finding.what]
    assert (len(gold_twice), len(blank)) == {"mmau": (16, 0), "mmar": (0, 4)}[name]


@pytest.mark.parametrize(("edition", "size", "twice"), [("json", 9185, 55), ("json_update", 9129, 0)])
def test_both_editions_of_music_avqa_load_audit_and_score(tmp_path, monkeypatch, edition, size, twice):
    monkeypatch.setattr("earwise.data.audit_scans.load_audio", lambda path: None)  # 6,399 times the same stub
    records = unpack(f"music_avqa_{edition}.json.gz", tmp_path / "avqa-test.json")
    stub(tmp_path, [f"audios/{record['video_id']}.wav" for record in records[:1]])
    for record in records[1:]:  # one folder of links to one sound
        path = tmp_path / f"audios/{record['video_id']}.wav"
        if not path.exists():
            path.symlink_to(tmp_path / "stub/a.wav")
    items = load_benchmark("music_avqa", tmp_path)
    assert len(items) == len({item.id for item in items}) == size
    said = {item.id: record["anser"] for item, record in zip(items, records, strict=True)}
    scored = score_predictions("music_avqa", items, said, model="m", view="sound_text")
    assert aggregate("music_avqa", scored.scores) == 100
    result = audit("music_avqa", tmp_path / "avqa-test.json")
    assert result.errors == []
    assert sum("its id stands again" in finding.what for finding in result.findings) == twice


def test_hallusionbench_with_paths_in_its_text_only_rows_has_951(tmp_path):
    records = unpack("HallusionBench.json.gz", tmp_path / "HallusionBench.json")
    parts = ("category", "subcategory", "visual_input", "set_id", "figure_id", "question_id")
    first: dict[str, int] = {}
    with (tmp_path / "HallusionBench.tsv").open("w", newline="") as stream:
        out = csv.writer(stream, delimiter="\t")
        out.writerow(["index", "image", "image_path", "question", "answer", "category", "l2-category"])
        for record in records:
            index = "_".join(record[part] for part in parts)
            path = record["filename"] or f"./hallusion_bench/{record['category']}/{index}.png"
            shade = first.setdefault(path, len(first) % 256)
            image = "" if record["filename"] is None else picture(shade)
            answer = "Yes" if record["gt_answer"] == "1" else "No"
            kind = f"{record['category']}_{record['subcategory']}"
            out.writerow([index, image, path, record["question"], answer, record["category"], kind])
    assert len(read_tsv(tmp_path / "HallusionBench.tsv", "hallusionbench")) == 951
    result = audit("hallusionbench", tmp_path / "HallusionBench.tsv", own=True)
    assert (result.file.counts["rows without image"], result.errors) == (178, [])
