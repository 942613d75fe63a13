"""Progress of corpora counts what their total counts: conversations, however many questions these have."""

from types import SimpleNamespace

from corpora import conversation, write_llava

from earwise.data.items import read_items
from earwise.recipe.data import CorporaData
from earwise.stages.corpora import write_corpora


def test_conversations_of_several_turns_are_counted_once_each(tmp_path):
    three = conversation(1, "What color is it?", "red", "And its shape?", "a star", "How many are there?", "one")
    write_llava(tmp_path, [three, conversation(2, "What color is it?", "blue")])
    part = {"format": "llava", "path": str(tmp_path / "mix.json"), "images": str(tmp_path / "images")}
    source = CorporaData.model_validate({"source": "corpora", "seed": 0, "train": {"parts": [part]}})
    seen: list[tuple[str, int | None, int]] = []

    def track(iterable, total=None, what=""):
        entries = list(iterable)
        seen.append((what, total, len(entries)))
        return entries

    folder = tmp_path / "stage"
    folder.mkdir()
    write_corpora(SimpleNamespace(folder=folder, track=track, say=print), source)
    assert seen == [("data: train", 2, 2)]
    assert len(read_items(folder / "train.jsonl")) == 4
