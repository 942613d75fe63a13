"""CoTA's answers and records: what is read, what is left out and counted, what is an error."""

import json

import numpy as np
import pytest

from earwise.data.cota import CotaFile, Outcome, parse_cota
from earwise.data.media import save_wav
from earwise.errors import InputError
from earwise.recipe.data import CorporaData
from earwise.stages.corpora import open_pool
from earwise.traces.format import said

GOOD = (
    "<THINK> <PLANNING> Listen. </PLANNING> <CAPTION> A dog barks\ntwice. </CAPTION> <REASONING> Dogs bark. "
    "</REASONING> <SUMMARY> A dog. </SUMMARY> </THINK>\n<RESPONSE> a dog </RESPONSE>"
)


def record(answer=GOOD, sounds=("a.wav",), question="<audio>What barks?"):
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages, "audios": list(sounds)}


def write(folder, records):
    save_wav(folder / "a.wav", np.tile(np.float32([0.2, -0.2]), 800))
    path = folder / "cota.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def test_each_block_of_an_answer_is_read():
    parsed = parse_cota(GOOD)
    assert parsed.outcome is Outcome.OK
    assert (parsed.planning, parsed.caption, parsed.reasoning) == ("Listen.", "A dog barks\ntwice.", "Dogs bark.")
    assert (parsed.summary, parsed.response) == ("A dog.", "a dog")


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (("</RESPONSE>", ""), Outcome.UNCLOSED),
        (("<CAPTION> A dog barks\ntwice. </CAPTION>", ""), Outcome.MISSING),
        (("</THINK>", "</THINK></THINK>"), Outcome.DOUBLED),
        (("Listen.", ""), Outcome.EMPTY),
        (("</SUMMARY> </THINK>", "</THINK> </SUMMARY>"), Outcome.DISORDERED),
        (("<THINK>", "<think>"), Outcome.MISSING),
    ],
)
def test_an_answer_that_breaks_the_format_has_an_outcome_and_no_blocks(change, outcome):
    parsed = parse_cota(GOOD.replace(*change))
    assert parsed.outcome is outcome
    assert parsed.response is None


def test_only_the_response_is_scored():
    assert said(GOOD) == "a dog"
    assert said(GOOD.replace("</SUMMARY>", "")) is None
    assert said("<think> x </think> <answer> B </answer>") == "B"


def test_a_record_becomes_an_item_that_learns_the_whole_answer(tmp_path):
    old_form = {"query": "What barks?", "response": GOOD, "audios": ["a.wav"]}
    system = {"role": "system", "content": "Think."}
    with_system = record()
    with_system["messages"].insert(0, system)
    file = CotaFile(write(tmp_path, [record(), old_form, with_system]), tmp_path, "cota", "media/cota")
    items = [item for place in range(len(file)) for item in file[place]]
    assert [item.id for item in items] == ["cota-0000000", "cota-0000001", "cota-0000002"]
    assert {(item.question, item.answers[0], item.audio) for item in items} == {
        ("What barks?", GOOD, "media/cota/a.wav")
    }


def test_what_cannot_be_used_is_counted_by_reason(tmp_path):
    broken = record(GOOD.replace("</THINK>", ""))
    file = CotaFile(
        write(tmp_path, [broken, record(sounds=()), record(sounds=["b.wav"]), record(), record(sounds=["a.wav"] * 2)]),
        tmp_path,
    )
    assert [item.id for item in file[0]] == ["cota-0000003"]
    assert file.drops.counts == {
        "the answer breaks the format: a block is opened and not closed": 1,
        "no sound": 1,
        "sound file missing": 1,
        "several sounds": 1,
    }


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"messages": [{"role": "user", "content": "x"}]}, "neither 'messages'"),
        ({"messages": None}, "neither 'messages'"),
        ({"audios": "a.wav"}, "no list of paths"),
        ({"audios": ["../a.wav"]}, "leaves the data folder"),
    ],
)
def test_what_is_no_record_is_named(change, what, tmp_path):
    path = write(tmp_path, [record(), record() | change])
    with pytest.raises(InputError, match=what) as error:
        CotaFile(path, tmp_path)
    assert error.value.record == "record 1"


def test_cota_is_a_part_of_a_mixture(tmp_path):
    part = {"format": "cota", "path": str(write(tmp_path, [record(), record()])), "audio": str(tmp_path)}
    data = CorporaData.model_validate({"source": "corpora", "train": {"parts": [part]}})
    pool = open_pool("train", data.train, 0, tmp_path)
    assert sorted(item.id for item in pool.items()) == ["cota-0000000", "cota-0000001"]
    assert pool.parts[0].media == tmp_path
