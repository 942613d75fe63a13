"""The audit of benchmark files: each kind of defect is made and must be named with its record."""

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from test_data_aro import case
from test_data_tsv import hallusion, mme, picture, rwqa, write
from typer.testing import CliRunner

from earwise.cli import app
from earwise.errors import InputError
from earwise.evaluate.audit import audit, console_tables
from earwise.evaluate.benchmarks import load_benchmark
from earwise.evaluate.benchmarks.registry import BUILT_IN
from earwise.evaluate.suite import COLUMNS

FILES = {name: benchmark.file for name, benchmark in BUILT_IN.items()}


def pairs(*categories, images=2):
    """Rows of MME: per category so many images, each with a yes and a no question."""
    names = [(kind, f"{kind}{number}.png") for kind in categories for number in range(images)]
    rows = [
        mme(2 * place + side, picture(place), name, category=kind, answer=answer, question=f"Is it {side}?")
        for place, (kind, name) in enumerate(names)
        for side, answer in enumerate(("Yes", "No"))
    ]
    return rows


def kinds(result):
    return {(finding.level, finding.check) for finding in result.findings}


def whats(result, check):
    found = [(finding.record, finding.what) for finding in result.findings if finding.check == check]
    return [f"{record}: {what}" if record else what for record, what in found]


def test_a_sound_file_has_no_findings_and_nothing_is_written(tmp_path):
    path = write(tmp_path / "MME.tsv", pairs("color", "OCR"))
    result = audit("mme", path, own=True)
    assert result.findings == []
    assert result.ceiling == {"strict": 100.0, "vlmevalkit": 100.0, "lmms_eval": 100.0, "official": 100.0}
    assert result.file.counts == {"rows": 8, "images": 4, "categories": 2, "gold yes": 4}
    assert result.file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert result.file.md5 == hashlib.md5(path.read_bytes()).hexdigest()
    assert list(tmp_path.iterdir()) == [path]


def test_the_public_files_counts_and_hash_are_expected_unless_it_is_ones_own(tmp_path, monkeypatch):
    path = write(tmp_path / "MME.tsv", pairs("color"))
    result = audit("mme", path)
    assert whats(result, "count") == [
        "4 rows, the public file has 2,374",
        "2 images, the public file has 1,187",
        "1 categories, the public file has 14",
        "2 gold yes, the public file has 1,187",
    ]
    assert kinds(result) == {("error", "count"), ("warning", "hash")}
    right = replace(BUILT_IN["mme"].file, md5=result.file.md5, counts={"rows": 4, "categories": 1})
    monkeypatch.setitem(BUILT_IN, "mme", replace(BUILT_IN["mme"], file=right))
    assert audit("mme", path).findings == []


def test_every_broken_row_is_named_not_just_the_first(tmp_path):
    truncated = base64.b64encode(base64.b64decode(picture(7, size=(64, 64), format_="JPEG"))[:-200]).decode()
    rows = [
        *pairs("color"),
        mme(4, "%%%" + picture(), "b.png"),
        mme(5, picture(3), "c.png", question=" "),
        mme(0, picture(4), "d.png"),
        mme(6, truncated, "e.png"),
        mme(7, "99", "f.png"),
    ]
    result = audit("mme", write(tmp_path / "MME.tsv", rows), own=True)
    expected = [
        ("line 6 index '4'", "broken base64"),
        ("line 8 index '0'", "duplicate index"),
        ("line 9 index '6'", "truncated"),
        ("line 7 index '5'", "empty question"),
        ("line 10 index '7'", "which has none"),
    ]
    for line, (record, what) in zip(whats(result, "row"), expected, strict=True):
        assert line.startswith(f"{record}: ")
        assert what in line
    assert result.file.counts["rows"] == 9
    assert len(result.file.items) == 4
    assert kinds(result) == {("error", "row")}


def test_a_file_that_cannot_be_read_at_all_is_one_error(tmp_path):
    row = {key: value for key, value in mme(1, picture()).items() if key != "category"}
    result = audit("mme", write(tmp_path / "MME.tsv", [row]))
    assert whats(result, "file")[0].startswith("missing columns: category (it has: ")
    assert result.file.items == []
    assert result.ceiling == {}


def test_images_of_mme_have_two_questions(tmp_path):
    result = audit("mme", write(tmp_path / "MME.tsv", pairs("color")[:3]), own=True)
    assert whats(result, "pairs") == ["image color/color1.png: 1 questions about one image, acc+ is defined for 2"]


def test_hallusionbench_counts_groups_and_rows_without_image(tmp_path):
    rows = [
        hallusion("VD_figure_1_0_1_0", "No"),
        hallusion("VD_figure_1_0_1_1", "Yes", question="Or so?"),
        hallusion("VD_figure_2_0_2_1", "Yes", image=picture(5)),
        hallusion("VS_chart_0_1_0_0", "Yes", image=""),
    ]
    result = audit("hallusionbench", write(tmp_path / "HallusionBench.tsv", rows), own=True)
    assert result.file.counts == {
        "rows": 3,
        "images": 2,
        "rows without image": 1,
        "figures": 2,
        "questions over figures": 2,
        "gold yes": 2,
    }
    assert result.findings == []


def test_lost_options_are_errors_unless_known(tmp_path):
    rows = [rwqa(1, "A", "Left", "Right"), rwqa(105, "C"), rwqa(106, "C", "Left", "", "Right")]
    result = audit("realworldqa", write(tmp_path / "RealWorldQA.tsv", rows), own=True)
    assert kinds(result) == {("warning", "known defect"), ("error", "row")}
    assert "line 3 index '105'" in whats(result, "known defect")[0]
    assert "line 4 index '106': an option is missing" in whats(result, "row")[0]
    assert result.file.counts["rows"] == 3


def test_options_that_stand_twice(tmp_path):
    rows = [
        rwqa(1, "A", "Left", "Right", "right"),
        rwqa(2, "B", "Left", "Right", "Right", image=picture(3)),
    ]
    result = audit("realworldqa", write(tmp_path / "RealWorldQA.tsv", rows), own=True)
    assert [(f.level, f.record) for f in result.findings if f.check == "choices"] == [
        ("warning", "realworldqa-1"),
        ("error", "realworldqa-2"),
    ]


def test_a_question_asked_twice_with_another_answer(tmp_path):
    base = {"image": picture(), "question": "How many?"}
    rows = [base | {"index": k, "answer": answer, "split": "test_human"} for k, answer in enumerate(("4", "4", "5"))]
    result = audit("chartqa_human", write(tmp_path / "ChartQA_TEST.tsv", rows), own=True)
    assert whats(result, "question twice") == [
        "chartqa-1: asks what chartqa-0 asks",
        "chartqa-2: asks what chartqa-0 asks, with another answer",
    ]
    assert result.file.counts["rows"] == 3
    empty = audit("chartqa_augmented", result.file.path, own=True)
    assert whats(empty, "file") == ["no rows of split 'test_augmented'"]


def test_gold_answers_that_no_answer_can_match(tmp_path):
    """Ten annotators who all say something else: the best answer scores 0.3; articles alone make an empty gold."""
    rows = [
        {"index": 1, "image": picture(1), "question": "a?", "answer": str([f"word{k}" for k in range(10)])},
        {"index": 2, "image": picture(2), "question": "b?", "answer": str(["the"] * 10)},
        {"index": 3, "image": picture(3), "question": "c?", "answer": str(["stop"] * 3)},
        {"index": 4, "image": picture(4), "question": "d?", "answer": str(["stop"])},
    ]
    result = audit("textvqa", write(tmp_path / "TextVQA_VAL.tsv", rows), own=True)
    below = whats(result, "gold below 1")
    assert "textvqa-1: strict gives 0.3 at most" in below
    assert "textvqa-3: official gives 0.67 at most" in below
    assert "textvqa-3: strict gives" not in " ".join(below)
    assert "textvqa-4: official rejects the gold answer 'stop'" in whats(result, "gold rejected")
    assert "textvqa-2: strict gives 1 for no answer" in whats(result, "empty answer")
    assert whats(result, "annotators") == ["textvqa-3: 3 answers, not 10", "textvqa-4: 1 answers, not 10"]
    assert result.ceiling["strict"] == pytest.approx((0.3 + 3) / 4 * 100)
    assert result.ceiling["vlmevalkit"] == pytest.approx((0.3 + 1 + 2 / 3 + 0) / 4 * 100)
    assert result.errors == []


def test_a_gold_answer_that_is_no_answer_of_the_benchmark(tmp_path):
    rows = pairs("color", images=1)
    rows[0]["answer"] = "Maybe"
    result = audit("mme", write(tmp_path / "MME.tsv", rows), own=True)
    assert whats(result, "gold")[0] == "mme-0: strict: the gold answer of a yes/no question is 'Maybe'"
    assert ("error", "gold") in kinds(result)


def test_options_that_a_kit_takes_for_another_one(tmp_path):
    """VLMEvalKit sees the lone letter A in the text of option B."""
    rows = [rwqa(1, "A", "Dog", "A: dog or cat")]
    result = audit("realworldqa", write(tmp_path / "RealWorldQA.tsv", rows), own=True)
    assert "realworldqa-1: vlmevalkit takes option B, 'A: dog or cat'" in whats(result, "wrong option")
    assert not any("strict" in line for line in whats(result, "wrong option"))


def aro(tmp_path, cases):
    (tmp_path / "images").mkdir(exist_ok=True)
    for shade in range(3):
        Image.new("RGB", (10, 10), (shade, 0, 0)).save(tmp_path / "images" / f"{shade}.png")
    path = tmp_path / "visual_genome_relation.json"
    path.write_text(json.dumps(cases))
    return path


def test_aro_is_checked_case_by_case_and_drawn_from(tmp_path):
    cases = [case(k) for k in range(8)] + [case(9, relation_name="near")]
    result = audit("mmalign_relation", aro(tmp_path, cases), own=True)
    assert result.findings == []
    assert result.file.counts == {"cases": 9, "symmetric, not drawn": 1, "items": 8, "gold A": 4}
    assert result.ceiling["strict"] == 100.0
    result = audit("mmalign_relation", result.file.path)
    assert whats(result, "count")[0] == "9 cases, the public file has 23,937"
    assert not list(tmp_path.glob(".*"))


def test_every_broken_case_of_aro_is_named(tmp_path):
    cases = [case(0), case(1, true_caption=""), case(2, bbox_x=10), case(3, image_path="none.png"), 5]
    result = audit("mmalign_relation", aro(tmp_path, cases), own=True)
    assert [line.split(":")[0] for line in whats(result, "row")] == ["case 1", "case 2", "case 3", "case 4"]
    assert result.file.counts["items"] == 0


def test_the_tables_name_levels_counts_and_first_records(tmp_path):
    rows = [*pairs("color"), mme(4, "%%%" + picture(), "b.png"), mme(5, "%%" + picture(), "c.png")]
    console = Console(width=150, record=True, file=io.StringIO())
    for table in console_tables(audit("mme", write(tmp_path / "MME.tsv", rows))):
        console.print(table)
    text = console.export_text()
    assert "b36b43c3f09801f5d368627fb92187c3" in text
    assert "ceiling, strict" in text
    (line,) = [line for line in text.splitlines() if "  row  " in line]
    assert line.split()[:3] == ["error", "row", "2"]
    assert "line 6 index '4'" in line


def run(*arguments):
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def test_the_command(tmp_path):
    path = write(tmp_path / "MME.tsv", pairs("color"))
    result = run("mme", path, "--own")
    assert (result.exit_code, result.stderr) == (0, "")
    for name, value in (("MD5", hashlib.md5), ("SHA-256", hashlib.sha256)):
        whole = value(path.read_bytes()).hexdigest()
        assert re.search(rf"^{name} +{whole}$", result.stdout, flags=re.M), "a hash can be copied from one line"
    result = run("mme", path)
    assert "\nexpected b36b43c3f09801f5d368627fb92187c3\n" in result.stdout
    line = f"earwise: {path}: 4 rows, the public file has 2,374; 4 errors\n"
    assert (result.exit_code, result.stderr) == (2, line)
    result = run("mme", path, "--json")
    found = json.loads(result.stdout)
    assert (found["counts"]["rows"], found["expected"]["rows"], found["errors"]) == (4, 2374, 4)
    assert found["findings"][0] == {
        "check": "count",
        "level": "error",
        "record": "",
        "what": "4 rows, the public file has 2,374",
    }


def test_the_command_names_what_is_not_there(tmp_path):
    result = run("mme", tmp_path / "MME.tsv")
    assert (result.exit_code, result.stderr) == (2, f"earwise: {tmp_path}/MME.tsv: no file of benchmark 'mme'\n")
    result = run("mem", tmp_path / "MME.tsv")
    assert (result.exit_code, result.stderr) == (
        2,
        "earwise: no audit for benchmark 'mem' (did you mean 'mme'?)\n",
    )


def test_every_benchmark_of_the_average_can_be_audited_and_loaded(tmp_path):
    others = {
        "mmalign_relation",
        "mmalign_attribute",
        "mmau",
        "mmar",
        "avqa",
        "music_avqa",
        "mmau_sound",
        "mmau_music",
        "mmau_speech",
        "meld",
        "iemocap",
    }
    assert set(COLUMNS) | others == set(BUILT_IN)
    for name, public in FILES.items():
        with pytest.raises(InputError, match=rf"{public.name}: no file for benchmark '{name}'"):
            load_benchmark(name, tmp_path)
        with pytest.raises(InputError, match="no file of benchmark"):
            audit(name, tmp_path / public.name)


def test_the_page_on_benchmarks_names_what_is_expected():
    rows = (Path(__file__).parent.parent / "docs/benchmarks.md").read_text(encoding="utf-8").splitlines()
    for name, public in FILES.items():
        (row,) = [line for line in rows if line.startswith(f"| `{name}` | `{public.name}` |")]
        assert public.md5 is None or f"`{public.md5}`" in row
        for count in public.counts.values():
            assert f"{count:,} " in row, (name, count)
