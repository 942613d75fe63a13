"""Files of one's own as benchmarks: what is read from which column, how it is scored, and what a bad file says."""

import base64
import csv
import json
import logging

import pytest
from example_recipe import TEXT
from test_data_tsv import picture, write
from typer.testing import CliRunner

from earwise.cli import app
from earwise.data.media import resolve
from earwise.errors import InputError
from earwise.evaluate.audit import audit
from earwise.evaluate.benchmarks import score_predictions, scorer_name
from earwise.evaluate.benchmarks.own import load_asked, load_own
from earwise.evaluate.scoring import score
from earwise.planning.compile import Compiler
from earwise.recipe.evaluate import Own, OwnColumns
from earwise.recipe.read import load_recipe
from earwise.stages.data import benchmark_items


def row(index, answer="B", **changes):
    """A row as MMBench, MMStar and AI2D have it."""
    options = {"A": "red", "B": "blue", "C": "", "D": ""}
    return {
        "index": index, "question": "What color is it?", "hint": "nan", **options, "answer": answer,
        "category": "color", "image": picture(int(index)), **changes,
    }  # fmt: skip


def own(path, columns=None, **changes):
    return Own(file=str(path), columns=OwnColumns(**(columns or {})), **changes)


def load(path, columns=None, **changes):
    return load_own("mine", own(path, columns, **changes), path.parent)


def values(items, said, profile="strict"):
    told = dict(zip([item.id for item in items], said, strict=True))
    return [
        one.value
        for one in score_predictions("mine", items, told, model="m", view="image_text", profile=profile).scores
    ]


def jsonl(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_a_table_with_options_is_read_as_multiple_choice(tmp_path):
    rows = [row(1, hint="It is a sunny day."), row(2, "A", C="green", category="shade"), row(3, "A", image="1")]
    items = load(write(tmp_path / "MMBench_DEV_EN.tsv", rows))
    assert [item.question for item in items] == ["It is a sunny day.\nWhat color is it?", *["What color is it?"] * 2]
    assert [item.choices for item in items] == [("red", "blue"), ("red", "blue", "green"), ("red", "blue")]
    assert [item.kind for item in items] == ["color", "shade", "color"]
    assert items[0].image == items[2].image != items[1].image
    assert items[0].cluster == items[2].cluster
    assert {item.suffix for item in items} == {"\nPlease select the correct answer from the options above."}
    assert scorer_name("mine", items[0]) == "choice"
    assert values(items, ["(B)", "The answer is C.", "red"]) == [1, 0, 1]


def test_a_table_of_yes_and_no_is_read_as_that(tmp_path):
    rows = [{"index": n, "question": "Is there a dog?", "answer": answer, "image": picture(n), "category": "random"}
            for n, answer in enumerate(("Yes", "no"))]  # fmt: skip
    items = load(write(tmp_path / "POPE.tsv", rows))
    assert scorer_name("mine", items[0]) == "yes_no"
    assert values(items, ["Yes, there is.", "Not sure"]) == [1, 0]


def test_rows_with_several_images_or_none_are_left_out_and_counted(tmp_path, caplog):
    """As in MMMU, whose `image` may print a list."""
    two = str([picture(1), picture(2)])
    rows = [row(1, split="validation"), row(2, image=two, split="validation"), row(3, image="", split="validation"),
            row(4, split="dev")]  # fmt: skip
    with caplog.at_level(logging.WARNING):
        items = load(write(tmp_path / "MMMU_DEV_VAL.tsv", rows), split="validation")
    assert [item.id for item in items] == ["mine-1"]
    assert "dropped 1: several images" in caplog.text
    assert "dropped 1: no image" in caplog.text


def test_columns_have_any_name(tmp_path):
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics/1.png").write_bytes(base64.b64decode(picture(1)))
    table = [{
        "nr": "7", "frage": "Wie viele?", "antwort": "1,200 km", "bild": "pics/1.png", "serie": "s", "art": "zahl",
        "question": "not this one",
    }]  # fmt: skip
    columns = {"id": "nr", "question": "frage", "answer": "antwort", "image": "bild", "cluster": "serie", "kind": "art"}
    (item,) = load(write(tmp_path / "a.tsv", table), columns, scoring="number", suffix="Answer with a number.")
    assert (item.id, item.question, item.answers, item.image) == ("mine-7", "Wie viele?", ("1,200 km",), "pics/1.png")
    assert (item.cluster, item.kind, item.suffix) == ("s", "zahl", "\nAnswer with a number.")
    assert values([item], ["It is 1200 kilometres."]) == [1]


def test_a_column_of_no_name_is_not_read(tmp_path):
    path = write(tmp_path / "t.tsv", [row(1, hint="sunny"), row(2, image="")])
    items = load(path, {"image": "", "hint": "", "kind": ""})
    assert [(item.image, item.question, item.kind, item.cluster) for item in items] == [
        (None, "What color is it?", "", "1"), (None, "What color is it?", "", "2")
    ]  # fmt: skip


def test_records_have_an_items_fields(tmp_path):
    records = [
        {"id": 1, "question": "Who?", "answers": ["Ann", "Anne"], "kind": "who", "suffix": "Be brief.", "image": None},
        {"id": "b", "question": "How many? Answer the question using a single word or phrase.", "answers": 3},
    ]
    first, second = load(jsonl(tmp_path / "a.jsonl", *records), scoring="contains", kind="rest")
    assert (first.answers, first.kind, first.suffix, first.cluster, first.image) == (
        ("Ann", "Anne"),
        "who",
        "\nBe brief.",
        "1",
        None,
    )
    assert (second.id, second.question, second.answers, second.kind) == ("b", "How many?", ("3",), "rest")
    assert second.suffix == " Answer the question using a single word or phrase."
    assert values([first, second], ["It was Anne.", "33"]) == [1, 0]


def test_rows_without_options_may_all_have_the_same(tmp_path):
    records = [{"id": n, "question": "How is it said?", "answers": mood} for n, mood in enumerate(("glad", "B"))]
    items = load(jsonl(tmp_path / "a.jsonl", *records), choices=("glad", "sad"))
    assert [(item.choices, item.answers) for item in items] == [(("glad", "sad"), ("A",)), (("glad", "sad"), ("B",))]
    assert values(items, ["glad", "sad"]) == [1, 1]


def test_media_outside_of_the_benchmarks_folder_are_kept_in_the_cache(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far/1.png").write_bytes(base64.b64decode(picture(1)))
    path = jsonl(tmp_path / "far/a.jsonl", {"id": 1, "question": "?", "answers": "x", "image": "1.png"})
    (item,) = load_own("mine", own(path), tmp_path / "benchmarks")
    assert resolve(tmp_path / "benchmarks", item.image).read_bytes() == (tmp_path / "far/1.png").read_bytes()
    (near,) = load_own("mine", own(path), tmp_path)
    assert near.image == "far/1.png"


@pytest.mark.parametrize(
    ("scoring", "gold", "said", "value"),
    [
        ("contains", "New York", "It is new york, I think", 1), ("contains", "York", "Yorkshire", 0),
        ("contains", "", "anything", 0),
        ("number", "12", "12 apples", 1), ("number", "$1,234.50", "1234.5", 1), ("number", "14", "14 %", 1),
        ("number", "3", "three", 1), ("number", "3", "2 or 3", None), ("number", "3", "3,5", None),
        ("number", "-2", "\u22122 °C", 1), ("number", "3", "none", None), ("number", "3", "3 of 3", 1),
        ("number", "0.5", ".50", 1), ("number", "10", "1e1", 1), ("number", "2024", "2024-05-01", None),
    ],
)  # fmt: skip
def test_own_rules(scoring, gold, said, value):
    for profile in ("strict", "vlmevalkit", "lmms_eval", "official"):
        assert score(scoring, gold, said, profile=profile) == value


BAD = {
    "dup": ({"rows": [row(1), row(1)]}, r"t\.tsv: line 3 index '1': duplicate index '1' \(mend the row"),
    "gold": ({"rows": [row(1), row(2, "")]}, r"t\.tsv: line 3 index '2': empty answer \(mend the row.*columns\]"),
    "column": ({"rows": [row(1)], "columns": {"answer": "gold"}}, r"t\.tsv: missing columns: gold \(it has: index"),
    "letter": ({"rows": [row(1, "E")]}, r"line 2 index '1': gold answer 'E' is not among the options"),
    "choice": ({"rows": [row(1)], "columns": {"choices": ""}, "scoring": "choice"}, "item 1: scoring .choice. needs"),
    "open": ({"rows": [row(1)], "scoring": "anls"}, r"t\.tsv: item 1: the row has options, which scoring 'anls'"),
    "yes": ({"rows": [row(1, "maybe", A="", B="")], "scoring": "yes_no"}, r"item 1: the gold answer of a yes/no"),
    "number": ({"rows": [row(1, "many", A="", B="")], "scoring": "number"}, r"item 1: the gold answer 'many' is not"),
    "sound": ({"rows": [row(1, audio="no.wav")]}, r"line 2 index '1': file 'no\.wav' not found beside it"),
    "list": ({"rows": [row(1, o="red; blue")], "columns": {"choices": "o"}}, r"line 2: not a list of options"),
    "split": ({"rows": [row(1, split="dev")], "split": "test"}, r"t\.tsv: no items of split 'test'"),
    "empty": ({"rows": [row(1)], "columns": {"id": ""}}, r"evaluate\.own\.mine\.columns\.id: is empty"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_is_one_line_with_file_row_and_remedy(tmp_path, name):
    case, said = BAD[name]
    path = write(tmp_path / "t.tsv", case["rows"])
    changes = {key: value for key, value in case.items() if key not in ("rows", "columns")}
    with pytest.raises(InputError, match=said) as raised:
        load(path, case.get("columns"), **changes)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"id": 1, "question": "?", "answers": []}, r"record 1: no gold answer \(name the column"),
        ({"id": 1, "question": "?", "answers": True}, r"record 1: 'answers' is not a text, a number"),
        ({"id": 0, "question": "?", "answers": "x"}, r"record 1: its id stands twice: 0 \(mend the row"),
        ({"id": 1, "question": " ", "answers": "x"}, r"record 1: 'question' is not a text"),
        ({"id": 1, "question": "?", "answers": "C", "choices": ["a", "b"]}, r"record 1: gold answer 'C' is not among"),
        ({"id": 1, "question": "?", "answers": "x", "image": "a.png"}, r"record 1: file 'a\.png' not found"),
    ],
)
def test_a_bad_record_is_one_line_with_file_record_and_remedy(tmp_path, record, said):
    path = jsonl(tmp_path / "a.jsonl", {"id": 0, "question": "?", "answers": "x"}, record)
    with pytest.raises(InputError, match=rf"a\.jsonl: {said}"):
        load(path)


def test_names_profiles_and_files_are_checked_before_anything_is_asked(tmp_path):
    path = write(tmp_path / "t.tsv", [row(1), row(2)])
    with pytest.raises(InputError, match=r"evaluate\.own\.mme: earwise has a benchmark of this name"):
        load_own("mme", own(path), tmp_path)
    with pytest.raises(InputError, match=r"choice has no profile 'official'"):
        load_asked("mine", tmp_path, {}, {"mine": own(path)}, "official")
    with pytest.raises(InputError, match=r"none\.tsv: no file for benchmark 'mine' \(mend evaluate\.own\.mine\.file\)"):
        load(tmp_path / "none.tsv")


RECIPE = TEXT.replace('benchmarks = ["mme"]', 'benchmarks = ["mme", "mine"]')


def recipe(tmp_path, table, text=RECIPE):
    (tmp_path / "r.toml").write_text(text + table)
    return load_recipe(tmp_path / "r.toml")


def test_a_recipe_names_own_files(tmp_path):
    path = write(tmp_path / "t.tsv", [row(1), row(2)])
    given = recipe(
        tmp_path,
        f'[evaluate.own.mine]\nfile = "{path}"\ncolumns = {{ kind = "hint" }}\n',
        RECIPE.replace('["mme", "mine"]', '["mine"]'),
    )
    (source,) = Compiler(given).benchmarks.values()
    items = benchmark_items(source, tmp_path)
    assert [item.source for item in items] == ["mine", "mine"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('file = "a.tsv"\nscoring = "nearly"', r"evaluate\.own\.mine\.scoring: expected one of 'exact', 'contains'"),
        ('file = "a.txt"', r"evaluate\.own\.mine: format is missing, and the name 'a\.txt' ends in neither"),
        ('file = "a.tsv"\ncolumns = { answr = "x" }', r"evaluate\.own\.mine\.columns\.answr: unknown key .*'answer'"),
        ('file = "a.tsv"\nchoices = ["one"]', r"evaluate\.own\.mine\.choices: expected a list of at least 2"),
    ],
)
def test_a_bad_own_table_is_refused_with_the_recipe(tmp_path, table, said):
    with pytest.raises(InputError, match=said):
        recipe(tmp_path, f"[evaluate.own.mine]\n{table}\n")


def test_an_own_file_that_is_not_asked_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"evaluate\.own\.other: is not among evaluate\.benchmarks"):
        recipe(tmp_path, '[evaluate.own.other]\nfile = "a.tsv"\n')


def test_an_own_file_is_audited_by_its_table_or_by_its_recipe(tmp_path):
    path = write(tmp_path / "t.tsv", [row(1), row(2, "E"), row(3, image=""), row(4, "")])
    result = audit("mine", path, own=True)
    found = [(one.level, one.check, one.record) for one in result.findings]
    assert found == [
        ("error", "row", "line 3 index '2'"), ("error", "row", "line 5 index '4'"),
        ("warning", "left out", "line 4 index '3'"),
    ]  # fmt: skip
    assert result.file.counts == {"rows": 4}
    assert result.ceiling == {"strict": 100.0, "vlmevalkit": 100.0, "lmms_eval": 100.0}
    recipe(tmp_path, f'[evaluate.own.mine]\nfile = "{path}"\nscoring = "exact"\n')
    assert audit("mine", tmp_path / "r.toml", own=True).ceiling["official"] == 100.0
    with pytest.raises(InputError, match=r"r\.toml: evaluate\.own\.other: the table .* is missing"):
        audit("other", tmp_path / "r.toml", own=True)
    done = CliRunner().invoke(app, ["audit", "mine", str(path), "--own"])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1


def test_rows_are_quoted_as_any_table(tmp_path):
    with (tmp_path / "t.tsv").open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t")
        writer.writerow(["index", "question", "answer"])
        writer.writerow(["1", 'What does "it" say?\nLook.', "['a', 'b']"])
    (item,) = load(tmp_path / "t.tsv", scoring="anls")
    assert (item.question, item.answers) == ('What does "it" say?\nLook.', ("a", "b"))
