"""Odd rows of VLMEvalKit's tables are read as that kit reads them, or named and counted; none is lost silently."""

import base64
import logging
import os
import textwrap

import numpy as np
import pytest
from PIL import Image
from test_data_tsv import hallusion, mme, picture, write

from earwise.data.tsv import read_tsv
from earwise.errors import InputError
from earwise.evaluate.audit import audit
from earwise.evaluate.scoring import score


def doc(index, image, answer="['red']", **changes):
    return {"index": index, "image": image, "question": f"Question {index}?", "answer": answer} | changes


def table(tmp_path, rows, name="DocVQA_VAL.tsv"):
    return write(tmp_path / name, rows)


def lines(path, *rows):
    path.write_text("\n".join(("index\timage\tquestion\tanswer\tnote", *rows)) + "\n")
    return path


def found(benchmark, path):
    """Every finding of an audit but those of hashes and repeated questions, as (level, check, record)."""
    return [(f.level, f.check, f.record) for f in audit(benchmark, path, own=True).findings]


def test_references_lead_over_other_references(tmp_path):
    path = table(tmp_path, [doc(0, picture(9)), doc(1, "0"), doc(2, "1"), doc(3, "2")])
    items = read_tsv(path, "docvqa")
    assert len({item.image for item in items}) == 1
    assert found("docvqa", path) == []


def test_references_in_a_circle_are_refused(tmp_path):
    path = table(tmp_path, [doc(0, picture(9)), doc(1, "2"), doc(2, "3"), doc(3, "2")])
    with pytest.raises(InputError, match=r"line 3 index '1': .* as that of index '2', which refers back"):
        read_tsv(path, "docvqa")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda text: base64.encodebytes(base64.b64decode(text)).decode(),
        lambda text: "\r\n".join(textwrap.wrap(text, 64)),
        lambda text: " ".join(textwrap.wrap(text, 20)),
        lambda text: f"data:image/png;base64,{text}",
        lambda text: str([text]),
        lambda text: str(np.array([text])),
    ],
)
def test_base64_of_any_wrapping_is_one_image(tmp_path, wrap):
    (item,) = read_tsv(table(tmp_path, [doc(0, wrap(picture(9)))]), "docvqa")
    with Image.open(item.image) as image:
        assert image.getpixel((0, 0)) == (9, 0, 0)


@pytest.mark.parametrize("text", ["Ä" * 100, "A" * 101, "-" + picture(9)])
def test_what_is_no_base64_is_refused(tmp_path, text):
    with pytest.raises(InputError, match="line 2 index '0': broken base64"):
        read_tsv(table(tmp_path, [doc(0, text)]), "docvqa")


@pytest.mark.parametrize("nothing", ["", "nan", "None", "N/A"])
def test_rows_without_an_image_are_left_out_named_and_counted(tmp_path, caplog, nothing):
    path = table(tmp_path, [doc(0, picture(9)), doc(1, nothing), doc(2, nothing), doc(3, "0")])
    with caplog.at_level(logging.WARNING):
        items = read_tsv(path, "docvqa")
    assert [item.id for item in items] == ["docvqa-0", "docvqa-3"]
    assert caplog.messages == [f"{path}: dropped 2: no image (first: line 3 index '1')"]
    result = audit("docvqa", path, own=True)
    assert [(f.level, f.check, f.record) for f in result.findings] == [
        ("warning", "no image", "line 3 index '1'"),
        ("warning", "no image", "line 4 index '2'"),
    ]
    assert result.file.counts["rows"] == 2


def test_a_file_of_nothing_but_rows_without_an_image_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no rows, dropped 1: no image \(first: line 2 index '0'\)"):
        read_tsv(table(tmp_path, [doc(0, "")]), "docvqa")


def test_an_annotator_who_said_nothing_counts_as_one(tmp_path):
    """Nine of ten say nokia: each of them sees 8 others, the tenth 9; VQA accuracy is 1 for nokia and 0 for nothing."""
    path = table(tmp_path, [doc(0, picture(9), str(["nokia"] * 9 + [""]))], "TextVQA_VAL.tsv")
    (item,) = read_tsv(path, "textvqa")
    assert len(item.answers) == 10
    for profile in ("strict", "vlmevalkit", "lmms_eval", "official"):
        assert score("textvqa", item.answers, "nokia", profile=profile) == 1
        # 9 annotators see one other who said nothing, 1/3; the tenth sees none.
        assert score("textvqa", item.answers, "", profile=profile) == pytest.approx(9 / 10 / 3)
    assert "error" not in {level for level, *_ in found("textvqa", path)}
    with pytest.raises(InputError, match="empty answer"):
        read_tsv(table(tmp_path, [doc(0, picture(9), "['', ' ']")], "TextVQA_VAL.tsv"), "textvqa")


def test_a_path_may_be_absolute_or_a_list(tmp_path):
    data, other = tmp_path / "data", tmp_path / "other"
    for folder, red in ((data, 1), (other, 2)):
        folder.mkdir()
        Image.new("RGB", (2, 2), (red, 0, 0)).save(folder / "a.png")
    paths = [str(data / "a.png"), str(other / "a.png"), "['a.png']", f"array(['{other / 'a.png'}'], dtype=object)"]
    rows = [doc(place, "", image_path=path) for place, path in enumerate(paths)]
    path = table(data, rows)
    items = read_tsv(path, "docvqa")
    assert (items[0].image, items[2].image) == ("a.png", "a.png")
    reds = []
    for item in items:
        with Image.open(data / item.image) as image:
            reds.append(image.getpixel((0, 0))[0])
    assert reds == [1, 2, 1, 2]
    assert sorted(file.name for file in data.iterdir()) == ["DocVQA_VAL.tsv", "a.png"]
    assert "error" not in {level for level, *_ in found("docvqa", path)}


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/no/such/a.png", "image file '/no/such/a.png' not found"),
        ("['a.png', 'b.png']", "2 images in one row"),
        ("../a.png", "leaves the data folder"),
        ("gone.png", "image file 'gone.png' not found"),
        ("[a.png]", "not a list"),
    ],
)
def test_a_path_to_nothing_is_refused(tmp_path, path, what):
    with pytest.raises(InputError, match=f"line 2 index '0': .*{what}"):
        read_tsv(table(tmp_path, [doc(0, "", image_path=path)]), "docvqa")


def test_an_absolute_path_to_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "data").mkdir()
    path = table(tmp_path / "data", [doc(0, "", image_path=str(tmp_path / "secret.txt"))])
    with pytest.raises(InputError, match="line 2 index '0': not an image"):
        read_tsv(path, "docvqa")


@pytest.mark.parametrize("benchmark", ["docvqa", "hallusionbench"])
@pytest.mark.parametrize("outside", [False, True], ids=["beside the table", "elsewhere"])
def test_a_path_to_a_pipe_is_refused_and_not_waited_for(tmp_path, benchmark, outside):
    (tmp_path / "data").mkdir()
    pipe = (tmp_path if outside else tmp_path / "data") / "pipe.png"
    os.mkfifo(pipe)
    row = doc(0, "", image_path=str(pipe)) | {"category": "VD", "l2-category": "math"}
    with pytest.raises(InputError, match="line 2 index '0': is a named pipe, not a file"):
        read_tsv(table(tmp_path / "data", [row]), benchmark)


def test_short_rows_are_filled_up_and_named(tmp_path, caplog):
    path = lines(tmp_path / "DocVQA_VAL.tsv", f"0\t{picture(9)}\tWho?\t['red']\tx", "1\t0\tWhat?\t['blue']")
    with caplog.at_level(logging.WARNING):
        items = read_tsv(path, "docvqa")
    assert [item.answers for item in items] == [("red",), ("blue",)]
    assert caplog.messages == [
        f"{path}: 1 rows are short and are filled up (first: line 3: 4 fields where the header has 5)"
    ]
    assert found("docvqa", path) == [("warning", "short row", "line 3")]


def test_a_short_row_that_lacks_its_answer_is_refused(tmp_path):
    path = lines(tmp_path / "DocVQA_VAL.tsv", f"0\t{picture(9)}\tWho?")
    with pytest.raises(InputError, match="line 2 index '0': empty answer"):
        read_tsv(path, "docvqa")


def test_long_rows_are_named_one_by_one(tmp_path):
    row = f"\t{picture(9)}\tWho?\t['red']\tx\ty"
    path = lines(tmp_path / "DocVQA_VAL.tsv", f"0{row}", f"1{row}", f"2\t{picture(9)}\tWho?\t['red']\tx")
    with pytest.raises(InputError, match="line 2: 6 fields where the header has 5"):
        read_tsv(path, "docvqa")
    assert found("docvqa", path) == [("error", "row", "line 2"), ("error", "row", "line 3")]


def test_marks_of_quotation_inside_a_field_are_read_as_pandas_reads_them(tmp_path):
    rows = ['"Stop" it says. What?', 'What is 5" wide?', '"What is it?"', 'The ""sign""?', '"""Stop"" it says?"']
    path = lines(
        tmp_path / "DocVQA_VAL.tsv",
        *(f"{place}\t{picture(9)}\t{text}\t['red']\tx" for place, text in enumerate(rows)),
    )
    asked = [item.question for item in read_tsv(path, "docvqa")]
    assert asked == ["Stop it says. What?", 'What is 5" wide?', "What is it?", 'The ""sign""?', '"Stop" it says?']
    assert found("docvqa", path) == []


@pytest.mark.parametrize("place", [0, 1])
def test_a_mark_that_swallows_rows_is_refused(tmp_path, place):
    questions = ["What?"] * 4
    questions[place], questions[place + 1] = '"What', '"That'
    path = lines(
        tmp_path / "DocVQA_VAL.tsv",
        *(f"{number}\t{picture(9)}\t{text}\t['red']\tx" for number, text in enumerate(questions)),
    )
    with pytest.raises(InputError, match=f"line {place + 3}: a quotation mark is not closed in its row"):
        read_tsv(path, "docvqa")
    questions[place + 1] = "What?"
    lines(path, *(f"{number}\t{picture(9)}\t{text}\t['red']\tx" for number, text in enumerate(questions)))
    with pytest.raises(InputError, match="a quotation mark is not closed before the file ends"):
        read_tsv(path, "docvqa")


def test_a_question_of_several_lines_is_read(tmp_path):
    path = table(tmp_path, [doc(0, picture(9), question="One\ntwo\tthree?"), doc(1, "0")])
    assert [item.question for item in read_tsv(path, "docvqa")] == ["One\ntwo\tthree?", "Question 1?"]


def test_hallusionbench_asks_nothing_without_a_picture_whatever_path_it_names(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "there.png")
    rows = [
        hallusion("VD_figure_1_0_1_0", "No"),
        hallusion("VS_chart_0_1_0_0", "Yes", image="", image_path="./hallusion_bench/VS/chart/0_0.png"),
        hallusion("VS_chart_0_1_0_1", "Yes", image="", image_path="there.png"),
        hallusion("VS_chart_1_1_0_1", "Yes", image="", image_path="gone.png"),
        hallusion("VS_chart_1_1_1_1", "Yes", image="", image_path="there.png"),
    ]
    path = write(tmp_path / "HallusionBench.tsv", rows)
    items = read_tsv(path, "hallusionbench")
    assert [item.meta["index"] for item in items] == ["VD_figure_1_0_1_0", "VS_chart_1_1_1_1"]
    result = audit("hallusionbench", path, own=True)
    assert (result.file.counts["rows without image"], result.errors) == (3, [])


def test_answers_that_numpy_printed_are_several(tmp_path):
    answers = np.array(["12 May", "May 12"], dtype=object)
    path = table(tmp_path, [doc(0, picture(9), str(answers)), doc(1, "0", repr(answers)), doc(2, "0", "[2019 2020]")])
    items = read_tsv(path, "docvqa")
    assert [item.answers for item in items] == [("12 May", "May 12"), ("12 May", "May 12"), ("2019", "2020")]
    for wrong in ("['a' 'b', 'c']", "['a' ... 'c']", "[['a' 'b']]", "[None]"):
        with pytest.raises(InputError, match="line 2 index '0': not a list"):
            read_tsv(table(tmp_path, [doc(0, picture(9), wrong)]), "docvqa")


def test_the_audit_counts_pictures_that_are_not_shown_as_they_are(tmp_path):
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / "deep.png")
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    rows = [
        mme(place, base64.b64encode((tmp_path / name).read_bytes()).decode(), name, answer=answer)
        for place, (name, answer) in enumerate([("deep.png", "Yes"), ("clear.png", "Yes")])
    ]
    rows += [mme(2, "0", "deep.png", answer="No"), mme(3, "1", "clear.png", answer="No")]
    rows.append(mme(4, "", "deep.png", question="And?", category="other"))
    result = audit("mme", write(tmp_path / "MME.tsv", rows), own=True)
    assert [(f.record, f.what) for f in result.findings if f.check == "picture"] == [
        ("line 2 index '0'", "a deep picture, scaled to 8 bits"),
        ("line 3 index '1'", "a transparent picture, shown on white"),
        ("line 6 index '4'", "a deep picture, scaled to 8 bits"),
    ]
    assert result.file.counts["deep picture, scaled to 8 bits"] == 2
    assert result.file.counts["transparent picture, shown on white"] == 1
