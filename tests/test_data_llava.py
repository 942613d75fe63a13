"""LLaVA-style conversations: what becomes an item, what is left out and counted, what is an error."""

import json
import tracemalloc

import pytest
from corpora import conversation, write_llava

from earwise.data import json_records
from earwise.data.items import check_item
from earwise.data.json_records import scan_records
from earwise.data.llava import LlavaFile, LlavaOptions, spoken_turns
from earwise.errors import InputError

ONE_WORD = "\nAnswer the question using a single word or phrase."
BRIEF = {"from": "system", "value": "Be brief."}
TALK = ("What color is it?", "red", "Is it big?", "no", "Where is it?", "left")


def read(folder, records, **options):
    path = write_llava(folder, records)
    return LlavaFile(path, folder / "images", LlavaOptions(**options))


def test_a_conversation_becomes_one_item_per_question(tmp_path):
    (items,) = read(tmp_path, [conversation(7, "What color is it?" + ONE_WORD, " red ", "Is it big?", "no")])
    assert [item.id for item in items] == ["llava-0000000-0", "llava-0000000-1"]
    first, second = items
    assert (first.question, first.suffix, first.answers) == ("What color is it?", ONE_WORD, ("red",))
    assert (second.question, second.suffix, second.answers) == ("Is it big?", "", ("no",))
    assert {item.image for item in items} == {"coco/red.png"}
    assert {item.cluster for item in items} == {"llava/coco/red.png"}
    assert {item.kind for item in items} == {"coco"}
    assert first.meta == {"record": "record 0 (000000000007)", "conversation": "llava-0000000"}
    for item in items:
        check_item(item, tmp_path / "images" / "x.jsonl")


@pytest.mark.parametrize(
    "value", ["<image>\nIs it red?", "Is it red?\n<image>", "<image>Is it red?", " <image> Is it red?"]
)
def test_the_tag_may_stand_anywhere_in_the_first_question(value, tmp_path):
    record = conversation(1, value, "yes", tag="")
    ((item,),) = read(tmp_path, [record])
    assert item.question == "Is it red?"


def test_a_tag_in_the_middle_leaves_a_space(tmp_path):
    ((item,),) = read(tmp_path, [conversation(1, "Here\n<image>\nis it red?", "yes", tag="")])
    assert item.question == "Here is it red?"


def test_text_only_records_are_kept_or_counted(tmp_path):
    records = [conversation(1, *TALK), conversation(2, "Tell me a joke.", "No.", image=None)]
    both = read(tmp_path, records)
    assert (len(both), both[1][0].image, both[1][0].cluster, both[1][0].kind) == (2, None, "llava-0000001", "text")
    one = read(tmp_path, records, text_only=False)
    assert len(one) == 1
    assert one.drops.counts == {"text only": 1}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (conversation(1, "Q?", "a", image="coco/gone.png"), "image file missing"),
        (conversation(1, "Q?", "a") | {"image": ["coco/red.png", "coco/blue.png"]}, "several images or a video"),
        (conversation(1, "Q?", "a", image=None) | {"video": "a.mp4"}, "several images or a video"),
        (conversation(1, "Q?", "a", "<image>R?", "b"), "an <image> tag in a later turn"),
        (conversation(1, "<image>Q?", "a"), "several <image> tags"),
        (conversation(1, "<image>Q?", "a", image=None), "an <image> tag without an image"),
        (conversation(1, "", "a"), "no question with an answer"),
        (conversation(1, "Q?", "  "), "no question with an answer"),
        (conversation(1, "Q?"), "no question with an answer"),
        ({"conversations": [BRIEF, {"from": "human", "value": "Q?"}]}, "a system prompt of its own"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_counted_with_its_reason(record, reason, tmp_path):
    found = read(tmp_path, [record, conversation(2, "Is it red?", "yes")])
    assert found.drops.counts == {reason: 1}
    assert [item.question for items in (found[0],) for item in items] == ["Is it red?"]
    assert len(found) == 1


def test_an_image_in_a_list_of_one_is_an_image(tmp_path):
    ((item,),) = read(tmp_path, [conversation(1, "Q?", "a") | {"image": ["coco/red.png"]}])
    assert item.image == "coco/red.png"


def test_a_conversation_ends_before_a_turn_without_text_or_answer(tmp_path):
    found = read(tmp_path, [conversation(1, "Q?", "a", "R?", "", "S?", "c"), conversation(2, "Q?", "a", "R?")])
    assert [len(items) for items in (found[0], found[1])] == [1, 1]
    assert found.drops.counts == {"end of a conversation, from a turn without text or answer on": 2}


def test_turns_are_limited_without_being_counted_as_lost(tmp_path):
    found = read(tmp_path, [conversation(1, *TALK)], max_turns=2)
    assert [item.answers[0] for item in found[0]] == ["red", "no"]
    assert len(found.drops) == 0


@pytest.mark.parametrize(("spoken", "typed"), [("all", []), ("first", [1, 2]), ("last", [0, 1])])
def test_which_questions_are_spoken(spoken, typed, tmp_path):
    (items,) = read(tmp_path, [conversation(1, *TALK)], spoken=spoken)
    assert [n for n, item in enumerate(items) if item.meta.get("typed")] == typed


def test_a_share_is_drawn_by_the_seed_and_never_leaves_none():
    drawn = [spoken_turns(4, 0.5, 0, f"c{n}") for n in range(1000)]
    assert drawn == [spoken_turns(4, 0.5, 0, f"c{n}") for n in range(1000)]
    assert drawn != [spoken_turns(4, 0.5, 1, f"c{n}") for n in range(1000)]
    # 4 questions, each with probability 1/2; where none is drawn (1 in 16) one is spoken: 2 + 1/16 on average.
    assert sum(map(len, drawn)) / 1000 == pytest.approx(2.0625, abs=0.1)
    assert min(map(len, drawn)) == 1
    assert {len(spoken_turns(4, 0.0, 0, f"c{n}")) for n in range(50)} == {1}
    assert spoken_turns(4, 1.0, 0, "c") == frozenset(range(4))


@pytest.mark.parametrize(
    ("record", "what"),
    [
        (
            {"id": "x", "conversations": [{"from": "gpt", "value": "Hello"}, {"from": "human", "value": "Q?"}]},
            r"record 1 \(x\): the conversation begins with the assistant \(remove its first turn\)",
        ),
        (
            {"conversations": [{"from": "human", "value": "Q?"}, {"from": "human", "value": "R?"}]},
            "record 1: turn 1 is by 'human', it should be by 'gpt'",
        ),
        ({"conversations": []}, "record 1: no list of 'conversations'"),
        ({"messages": []}, "record 1: no list of 'conversations'"),
        ({"conversations": [{"from": "human"}]}, "record 1: turn 0 is not {'from', 'value'}"),
        ({"conversations": [{"from": "bot", "value": "a"}]}, "record 1: turn 0 is not {'from', 'value'}"),
        (conversation(1, "Q?", "a", image="../out.png"), r"record 1 \(0+1\): '../out.png' leaves the data folder"),
        (conversation(1, "Q?", "a", image="/etc/passwd"), r"record 1 \(0+1\): '/etc/passwd' is not a relative path"),
        (conversation(1, "Q?", "a") | {"image": 7}, r"record 1 \(000000000001\): 'image' is not a path"),
        (conversation(1, "Q?", "a", image="data:image/png;" + "A" * 999), r"record 1 \(0+1\): .* is longer than"),
        ("text", "record 1: is not a JSON object"),
    ],
)  # fmt: skip
def test_what_is_no_conversation_is_one_line_with_file_and_record(record, what, tmp_path):
    good = conversation(0, "Q?", "a")
    with pytest.raises(InputError, match=what) as caught:
        read(tmp_path, [good, record])
    assert str(caught.value).startswith(str(tmp_path / "mix.json"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no usable conversation: no records"),
        ("[]", "no usable conversation: no records"),
        ('[{"id": 1', "record 0: is truncated or not JSON"),
        ('[{"conversations": []}', "record 0: no list"),
        ("not json", "record 0: is truncated or not JSON"),
        ('[] {"id": 1}', "there is more after the end of the list"),
        ("[" * 100_000, "record 0: is truncated or not JSON: nested too deeply"),
        (r'[{"id": "\ud83d"}]', r"record 0: holds half a character, '\\ud83d'"),
    ],
)
def test_broken_files_are_one_line(text, what, tmp_path):
    (tmp_path / "mix.json").write_text(text)
    with pytest.raises(InputError, match=what) as caught:
        LlavaFile(tmp_path / "mix.json", tmp_path)
    assert str(tmp_path / "mix.json") in str(caught.value)


def test_a_list_without_its_end_is_truncated(tmp_path):
    path = write_llava(tmp_path, [conversation(1, *TALK)])
    path.write_text(path.read_text().rstrip().removesuffix("]"))
    with pytest.raises(InputError, match="record 1: is truncated: the list has no end"):
        LlavaFile(path, tmp_path / "images")


def test_a_broken_record_is_named_without_reading_the_rest_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(json_records, "_CHUNK", 1000)
    path = tmp_path / "mix.json"
    path.write_text('[{"id": 0}, {"id" 1}' + ', {"id": 2}' * 100_000 + "]")
    # The limit counts what is held: the text of the file would be a megabyte.
    tracemalloc.start()
    with pytest.raises(InputError, match="record 1: is truncated or not JSON: Expecting ':' delimiter at byte 18"):
        list(scan_records(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000


def test_whole_characters_in_pairs_of_escapes_are_kept(tmp_path):
    (tmp_path / "a.jsonl").write_text(r'{"id": "\ud83d\udc22"}')
    assert [record for _, record in scan_records(tmp_path / "a.jsonl")] == [{"id": "\N{TURTLE}"}]


def test_bytes_that_are_no_utf_8_are_one_line(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"id": "\xff"}')
    with pytest.raises(InputError, match=r"a\.jsonl: record 0: is not UTF-8 text"):
        list(scan_records(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("chunk", [1, 7, 64, 100_000])
def test_records_are_found_whatever_the_chunks(chunk, tmp_path, monkeypatch):
    records = [conversation(n, f'Is "{n}" [ré\\d] }}\u2028 \N{SNOWMAN}?', "ja\n" * (n % 5)) for n in range(30)]
    path = write_llava(tmp_path, records)
    lines = tmp_path / "mix.jsonl"
    lines.write_text("".join(json.dumps(record) + "\n" for record in records))
    monkeypatch.setattr(json_records, "_CHUNK", chunk)
    assert [record for _, record in scan_records(path)] == records
    assert [record for _, record in scan_records(lines)] == records
    places = [place for place, _ in scan_records(path)]
    assert [json_records.JsonRecords(path, places)[n] for n in (29, 0, 13)] == [records[n] for n in (29, 0, 13)]
