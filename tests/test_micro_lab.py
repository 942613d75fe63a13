import csv
import hashlib
import json

import pytest

from earwise.data.aro import read_aro
from earwise.data.items import read_items
from earwise.data.prompts import query_text
from earwise.data.tsv import read_tsv
from earwise.micro.lab import LabSize, spoken_words, write_lab
from earwise.micro.questions import KINDS, Turn

SIZE = LabSize(train_images=60, validation_images=10, test_images=80, turns_per_image=6, transcribe_items=200)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    write_lab(folder, seed=0, size=SIZE, label_noise=0.3)
    return folder


def digests(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.*")}


def test_same_seed_same_bytes_other_seed_other_bytes(lab, tmp_path):
    write_lab(tmp_path / "same", seed=0, size=SIZE, label_noise=0.3)
    write_lab(tmp_path / "other", seed=1, size=SIZE, label_noise=0.3)
    # Reading the TSV files leaves their images beside them; only what was written counts.
    written = {
        name: digest for name, digest in digests(lab).items() if "_images/" not in name and "_crops/" not in name
    }
    assert digests(tmp_path / "same") == written
    assert digests(tmp_path / "other")["train.jsonl"] != written["train.jsonl"]


def test_item_files_load_and_hold_what_was_asked_for(lab):
    train = read_items(lab / "train.jsonl")
    assert len(train) == 360
    assert len({item.cluster for item in train}) == 60
    assert len(read_items(lab / "validation.jsonl")) == 60
    assert {item.kind for item in read_items(lab / "benchmarks" / "questions.jsonl")} <= set(KINDS)


def test_there_is_one_scan_per_training_picture(lab):
    scans = read_items(lab / "scan.jsonl")
    assert [item.image for item in scans] == sorted({item.image for item in read_items(lab / "train.jsonl")})
    assert {item.kind for item in scans} == {"scan"}


def test_the_other_annotator_has_the_same_questions_and_the_asked_share_of_wrong_labels(lab):
    house, other = read_items(lab / "train.jsonl"), read_items(lab / "train_other.jsonl")
    assert [(i.id, i.question, i.choices, i.image) for i in house] == [
        (i.id, i.question, i.choices, i.image) for i in other
    ]
    wrong = sum(bool(item.meta["wrong_label"]) for item in other) / len(other)
    assert 0.2 < wrong < 0.36
    for one, two in zip(house, other, strict=True):
        if one.kind == "existence":
            agrees = two.answers[0].startswith(one.answers[0])
            assert agrees or two.meta["wrong_label"]


def test_transcription_items_cover_every_kind_and_repeat_their_question(lab):
    items = read_items(lab / "transcribe.jsonl")
    assert {item.kind for item in items} == {*KINDS, "words"}
    for item in items:
        assert item.answers == (spoken_words(item.question),)
        assert item.image is None
        assert item.instruction
    assert any(item.question.endswith("Please answer yes or no.") for item in items)


def test_random_strings_are_as_many_and_as_long_as_asked(tmp_path):
    size = LabSize(6, 1, 30, 2, transcribe_items=200, random_share=0.5, random_words=3)
    write_lab(tmp_path, seed=0, size=size)
    strings = [item.question for item in read_items(tmp_path / "transcribe.jsonl") if item.kind == "words"]
    assert 80 <= len(strings) <= 120
    assert {len(string.split()) for string in strings} == {1, 2, 3}


def test_strings_of_the_benchmark_were_never_heard(lab):
    heard = {item.question for item in read_items(lab / "transcribe.jsonl")}
    repeat = read_items(lab / "benchmarks" / "repeat.jsonl")
    assert len(repeat) == 200
    assert not heard & {item.question for item in repeat}
    assert {item.image for item in repeat} == {None}


def test_benchmarks_are_read_by_the_loaders_of_the_public_files(lab):
    folder = lab / "benchmarks"
    mme = read_tsv(folder / "MME.tsv", "mme")
    assert len(mme) == 48
    assert {item.kind for item in mme} == {"existence", "count", "position", "color", "OCR"}
    assert all(item.suffix.strip() == "Please answer yes or no." for item in mme)
    pairs = [tuple(item.answers[0] for item in mme[i : i + 2]) for i in range(0, len(mme), 2)]
    assert set(pairs) == {("Yes", "No")}
    assert all(mme[i].cluster == mme[i + 1].cluster for i in range(0, len(mme), 2))
    assert all(len(item.choices) in (2, 3) for item in read_tsv(folder / "RealWorldQA.tsv", "realworldqa"))
    assert all(len(item.answers) == 10 for item in read_tsv(folder / "TextVQA_VAL.tsv", "textvqa"))
    charts = read_tsv(folder / "ChartQA_TEST.tsv", "chartqa")
    assert {item.kind for item in charts} == {"test_human", "test_augmented"}
    relation = read_aro(folder / "visual_genome_relation.json", "relation")
    attribute = read_aro(folder / "visual_genome_attribution.json", "attribute")
    assert len(relation) == len(attribute) == 10


def test_default_size_has_more_than_1200_benchmark_items():
    images = LabSize().test_images
    assert images // 5 * LabSize().turns_per_image >= 1000
    assert images * (0.30 * 2 + 0.15 * 3 + 0.125 * 2) >= 1200


def test_no_picture_serves_two_splits_or_two_benchmarks(lab):
    csv.field_size_limit(10**7)
    images = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (lab / "images").glob("*.png")]
    images += [hashlib.sha256(p.read_bytes()).hexdigest() for p in (lab / "benchmarks" / "images").glob("*.png")]
    for name in ("MME", "RealWorldQA", "TextVQA_VAL", "ChartQA_TEST"):
        with (lab / "benchmarks" / f"{name}.tsv").open() as file:
            rows = {row["image"] for row in csv.DictReader(file, delimiter="\t")}
        images += [hashlib.sha256(row.encode()).hexdigest() for row in rows]
    assert len(set(images)) == len(images)


def test_questions_are_written_out_as_the_query_of_an_item_is(lab):
    item = next(item for item in read_items(lab / "train.jsonl") if len(item.choices) == 3)
    turn = Turn(item.kind, "", item.question, item.answers[0], "", item.choices)
    assert query_text(item) == turn.text


def test_aro_boxes_are_the_whole_picture(lab):
    case = json.loads((lab / "benchmarks" / "visual_genome_relation.json").read_text())[0]
    assert [case[f"bbox_{key}"] for key in "xywh"] == [0, 0, 64, 64]
