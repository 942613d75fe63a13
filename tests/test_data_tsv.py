import base64
import csv
import io
import logging
import struct
from pathlib import Path

import pytest
from PIL import Image

from earwise.data.derived import cache_folder
from earwise.data.media import load_image, resolve
from earwise.data.tsv import read_tsv
from earwise.data.tsv_layouts import hallusion_place
from earwise.errors import InputError

HUGE = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(40)
"""The header of a picture with 3.6 billion pixels."""


def picture(shade=0, size=(8, 8), format_="PNG"):
    stream = io.BytesIO()
    Image.new("RGB", size, (shade, 0, 0)).save(stream, format=format_)
    return base64.b64encode(stream.getvalue()).decode()


def write(path, rows):
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, delimiter="\t", restval="", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    return path


def mme(index, image, image_path="one.png", **changes):
    row = {
        "index": index,
        "image": image,
        "image_path": image_path,
        "question": "Is it red? Please answer yes or no.",
        "answer": "Yes",
        "category": "color",
    }
    return row | changes


def test_mme_pairs_questions_by_category_and_image(tmp_path):
    path = write(tmp_path / "MME.tsv", [mme(0, picture(9)), mme(1, "0", answer="No"), mme(2, picture(8), "two.jpg")])
    first, second, third = read_tsv(path, "mme")
    assert (first.id, first.source, first.kind, first.cluster) == ("mme-0", "mme", "color", "color/one.png")
    assert (first.question, first.suffix, first.answers) == ("Is it red?", " Please answer yes or no.", ("Yes",))
    assert first.image == second.image
    assert first.cluster == second.cluster
    assert second.answers == ("No",)
    assert third.cluster == "color/two.jpg"
    assert load_image(resolve(tmp_path, first.image)).getpixel((0, 0)) == (9, 0, 0)
    assert Path(first.image).parent == cache_folder() / "images"
    assert first.image.endswith(".png")
    assert [file.name for file in tmp_path.iterdir()] == ["MME.tsv"]


def test_a_reference_may_point_forward_but_not_into_nothing(tmp_path):
    path = write(tmp_path / "MME.tsv", [mme(0, "1"), mme(1, picture(9))])
    first, second = read_tsv(path, "mme")
    assert first.image == second.image
    for reference in ("7", "0"):
        path = write(tmp_path / "MME.tsv", [mme(0, reference), mme(1, picture(9))])
        with pytest.raises(InputError, match=rf"MME\.tsv: line 2 index '0': .*index '{reference}', which has none"):
            read_tsv(path, "mme")


def test_reading_again_writes_nothing_and_gives_the_same(tmp_path):
    path = write(tmp_path / "MME.tsv", [mme(0, picture(9))])
    before = read_tsv(path, "mme")
    stamp = (tmp_path / before[0].image).stat().st_mtime_ns
    assert read_tsv(path, "mme") == before
    assert (tmp_path / before[0].image).stat().st_mtime_ns == stamp


def test_image_path_is_used_where_there_is_no_base64(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "one.png")
    path = write(tmp_path / "MME.tsv", [mme(0, "")])
    assert read_tsv(path, "mme")[0].image == "one.png"
    path = write(tmp_path / "MME.tsv", [mme(0, "", "none.png")])
    with pytest.raises(InputError, match=r"'none\.png' not found"):
        read_tsv(path, "mme")


def test_textvqa_keeps_ten_answers_with_multiplicity(tmp_path):
    answers = ["nokia", "nokia", *["samsung"] * 8]
    question = "what brand?\nAnswer the question using a single word or phrase."
    row = {"index": 34602, "image": [picture()], "question": question, "answer": str(answers)}
    (item,) = read_tsv(write(tmp_path / "TextVQA_VAL.tsv", [row]), "textvqa")
    assert item.answers == tuple(answers)
    assert item.question == "what brand?"
    assert item.cluster == Path(item.image).name


def test_lists_are_parsed_but_never_executed(tmp_path):
    target = tmp_path / "pwned"
    row = {"index": 1, "image": picture(), "question": "q?", "answer": f"[open({str(target)!r}, 'w')]"}
    with pytest.raises(InputError, match="not a list"):
        read_tsv(write(tmp_path / "TextVQA_VAL.tsv", [row]), "textvqa")
    assert not target.exists()


def test_chartqa_splits_and_keeps_a_listed_gold_as_text(tmp_path):
    base = {"image": picture(), "question": "How many?"}
    rows = [
        base | {"index": 1, "answer": "14", "split": "test_human"},
        base | {"index": 2, "answer": "[3, 4]", "split": "test_augmented"},
    ]
    path = write(tmp_path / "ChartQA_TEST.tsv", rows)
    assert [item.id for item in read_tsv(path, "chartqa", split="test_human")] == ["chartqa-1"]
    assert read_tsv(path, "chartqa", split="test_augmented")[0].answers == ("[3, 4]",)
    assert [item.kind for item in read_tsv(path, "chartqa")] == ["test_human", "test_augmented"]
    with pytest.raises(InputError, match="no rows of split 'val'"):
        read_tsv(path, "chartqa", split="val")


def hallusion(index, answer, **changes):
    row = {"index": index, "image": picture(), "question": "Is it so?", "answer": answer}
    return row | {"category": index[:2], "l2-category": "_".join(index.split("_")[:2])} | changes


def test_hallusionbench_clusters_by_set_and_leaves_out_rows_without_image(tmp_path, caplog):
    rows = [
        hallusion("VD_figure_1_0_1_0", "No"),
        hallusion("VD_figure_1_0_2_0", "Yes"),
        hallusion("VS_chart_0_1_0_0", "Yes", image=""),
    ]
    path = write(tmp_path / "HallusionBench.tsv", rows)
    with caplog.at_level(logging.INFO):
        first, second = read_tsv(path, "hallusionbench")
    assert (first.id, first.kind, first.cluster) == ("hallusionbench-VD_figure_1_0_1_0", "VD_figure", "VD_figure/0")
    assert (second.cluster, second.answers, second.suffix) == ("VD_figure/0", ("Yes",), "")
    assert caplog.messages == [f"{path}: 1 rows without an image are no part of the benchmark and left out"]
    assert hallusion_place("VD_figure_1_0_2_7") == ("0", "2", "7")
    path = write(path, [hallusion("VD_figure_1", "No")])
    with pytest.raises(InputError, match=r"line 2 index 'VD_figure_1': .* not name set, figure and question"):
        read_tsv(path, "hallusionbench")


def test_the_request_of_vlmevalkit_is_the_suffix_where_the_file_has_none(tmp_path):
    row = {"index": 1, "image": picture(), "question": "who?", "answer": "['a']", "split": "x"}
    for name in ("textvqa", "docvqa", "infovqa", "chartqa"):
        (item,) = read_tsv(write(tmp_path / "a.tsv", [row]), name)
        assert item.suffix == "\nAnswer the question using a single word or phrase."
    own = row | {"question": "who? Answer with a single word."}
    assert read_tsv(write(tmp_path / "a.tsv", [own]), "docvqa")[0].suffix == " Answer with a single word."
    choice, open_ = read_tsv(write(tmp_path / "a.tsv", [rwqa(1, "A", "Left", "Right"), rwqa(2, "12")]), "realworldqa")
    assert choice.suffix == "\nPlease select the correct answer from the options above."
    assert open_.suffix == ""


def test_mme_without_image_paths_keeps_categories_apart(tmp_path):
    rows = [mme(0, picture(9), ""), mme(1, picture(9), "", category="OCR")]
    first, second = read_tsv(write(tmp_path / "MME.tsv", rows), "mme")
    assert first.image == second.image
    assert (first.cluster, second.cluster) == (f"color/{Path(first.image).name}", f"OCR/{Path(first.image).name}")


def rwqa(index, answer, *options, **changes):
    row = {"index": index, "image": picture(), "question": "Where?", "answer": answer, "A": "", "B": "", "C": ""}
    return row | dict(zip("ABCD", options, strict=False)) | changes


def test_realworldqa_has_options_and_open_answers(tmp_path):
    rows = [rwqa(1, "B", "Left", "None", "Straight"), rwqa(2, "B", "Left", "Right"), rwqa(3, "12")]
    items = read_tsv(write(tmp_path / "RealWorldQA.tsv", rows), "realworldqa")
    assert [item.choices for item in items] == [("Left", "None", "Straight"), ("Left", "Right"), ()]
    assert [item.answers for item in items] == [("B",), ("B",), ("12",)]


@pytest.mark.parametrize(
    ("row", "match"),
    [
        (rwqa(105, "C", "Left", "Right"), "gold answer 'C' is not among the options"),
        (rwqa(105, "C", "Left", "", "Right"), "an option is missing"),
        (rwqa(105, "A", "Left"), "an option is missing"),
        (rwqa(105, "C"), "gold answer 'C' is not among the options"),
    ],
)
def test_lost_options_are_refused_or_left_out_as_a_known_defect(tmp_path, caplog, row, match):
    path = write(tmp_path / "RealWorldQA.tsv", [rwqa(1, "A", "Left", "Right"), row])
    with pytest.raises(InputError, match=rf"RealWorldQA\.tsv: line 3 index '105': {match}"):
        read_tsv(path, "realworldqa")
    with caplog.at_level(logging.WARNING):
        items = read_tsv(path, "realworldqa", known_defects={"105": "option lost", "1": "not broken here"})
    assert [item.id for item in items] == ["realworldqa-1"]
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["left out a known defect, option lost"]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"image": "%%%" + picture()}, "broken base64"),
        ({"image": picture()[:-1]}, "broken base64"),
        ({"image": base64.b64encode(b"x" * 99).decode()}, "not an image"),
        ({"image": str([picture(), picture()])}, "2 images in one row"),
        ({"image": "", "image_path": "../0.png"}, "'../0.png' leaves the data folder"),
        ({"image": "[{[]: 1}]"}, "not a list"),
        ({"image": base64.b64encode(HUGE).decode()}, "too many pixels to be decoded"),
        ({"question": " "}, "empty question"),
        ({"answer": ""}, "empty answer"),
        ({"index": ""}, "empty index"),
    ],
)
def test_broken_rows_are_refused_by_line_and_index(tmp_path, changes, match):
    path = write(tmp_path / "MME.tsv", [mme(4, picture()) | changes])
    with pytest.raises(InputError, match=match) as caught:
        read_tsv(path, "mme")
    assert f"{path}: line 2 index '{changes.get('index', 4)}'" in str(caught.value)


def test_broken_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="duplicate index '4'"):
        read_tsv(write(tmp_path / "a.tsv", [mme(4, picture()), mme(4, picture())]), "mme")
    with pytest.raises(InputError, match="mme file not found"):
        read_tsv(tmp_path / "none.tsv", "mme")
    row = {key: value for key, value in mme(1, picture()).items() if key not in ("category", "image", "image_path")}
    with pytest.raises(InputError, match=r"missing columns: category, image \(or image_path\)"):
        read_tsv(write(tmp_path / "a.tsv", [row]), "mme")
    path = write(tmp_path / "a.tsv", [mme(1, picture())])
    path.write_text(path.read_text()[:-40])
    with pytest.raises(InputError, match=r"a\.tsv: after line 1: not a readable TSV"):
        read_tsv(path, "mme")
    path.write_text("index\tquestion\tanswer\timage\tcategory\n1\tq\ta\ti\tc\tx\n")
    with pytest.raises(InputError, match="line 2: 6 fields where the header has 5"):
        read_tsv(path, "mme")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"a\.tsv: is UTF-16 text, not UTF-8"):
        read_tsv(path, "mme")


def test_fields_beyond_the_csv_modules_limit_are_read_and_the_limit_restored(tmp_path):
    limit = csv.field_size_limit()
    stream = io.BytesIO()
    Image.effect_noise((512, 512), 99).save(stream, format="PNG")
    assert len(stream.getvalue()) > limit
    path = write(tmp_path / "MME.tsv", [mme(0, base64.b64encode(stream.getvalue()).decode())])
    assert len(read_tsv(path, "mme")) == 1
    assert csv.field_size_limit() == limit
