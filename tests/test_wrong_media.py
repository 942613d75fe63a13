"""Videos that cannot be watched or heard: one line with file and item wherever one is needed, and in the audit."""

import json
import re
from types import SimpleNamespace

import pytest
from videos import write_video

from earwise.data.video import FrameChoice
from earwise.errors import InputError, about
from earwise.evaluate.audit import audit
from earwise.recipe.teach import Traces
from earwise.records import Item
from earwise.stages.samples import sample_items
from earwise.stages.traces import draw


def blind(path):
    write_video(path, pictures=False)


def mute(path):
    write_video(path, tone_hz=None)


def without_frames(path):
    write_video(path, frames=0, seconds=1)


def text(path):
    path.write_text("this is no video " * 100)


def empty(path):
    path.touch()


def half(path):
    write_video(path, frames=80, fps=8)
    path.write_bytes(path.read_bytes()[:9000])


WRONG = [
    # what the file is; what is said where it is watched, where it is heard; None where that works
    (blind, "the video has no picture stream", None),
    (mute, None, "the video has no sound"),
    (without_frames, "the video has no", None),
    (text, "not readable as video", "not readable as video"),
    (empty, r"video file is empty \(0 bytes\)", r"video file is empty \(0 bytes\)"),
    (half, "not readable as video", "not readable as video"),
]


@pytest.mark.parametrize(("make", "watched", "heard"), WRONG)
def test_a_wrong_video_is_one_line_with_file_and_item(make, watched, heard, tmp_path):
    make(tmp_path / "v.mp4")
    item = Item(id="film-7", source="films", question="What is heard?", answers=("a bell",), video="v.mp4", cluster="v")
    for view, what in (("video_text", watched), ("sound_text", heard)):
        if what is None:
            assert len(sample_items([item], tmp_path, None, print, views=[view], frames=FrameChoice(2))) == 1
            continue
        with pytest.raises(InputError, match=rf"^{re.escape(str(tmp_path / 'v.mp4'))}: film-7: {what}") as caught:
            sample_items([item], tmp_path, None, print, views=[view], frames=FrameChoice(2))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("make", "watched", "heard"), WRONG)
def test_the_audit_names_a_wrong_video_with_the_item_that_asks_about_it(make, watched, heard, tmp_path):
    (tmp_path / "videos").mkdir()
    make(tmp_path / "videos" / "v.mp4")
    row = {"id": 7, "video_name": "v", "question_text": "What?", "question_type": "Which", "answer": 0}
    path = tmp_path / "val_qa.json"
    path.write_text(json.dumps([row | {"multi_choice": ["a bell", "a dog"]}]))
    (found,) = [finding for finding in audit("avqa", path, own=True).findings if finding.check == "media"]
    assert (found.level, found.record) == ("error", "avqa-7")
    assert re.match(rf"videos/v\.mp4: (?:{watched}|{heard})", found.what)


def test_a_teacher_that_cannot_watch_a_video_says_of_which_item(tmp_path):
    blind(tmp_path / "v.mp4")
    item = Item(id="film-7", source="films", question="What is heard?", answers=("a bell",), video="v.mp4", cluster="v")
    teacher = {"type": "server", "base_url": "http://127.0.0.1:9", "model": "m"}
    settings = Traces.model_validate({"teacher": teacher, "n": 2, "frames": {"count": 2}})
    context = SimpleNamespace(folder=tmp_path / "traces", say=print)
    with pytest.raises(InputError, match=r"v\.mp4: film-7: the video has no picture stream"):
        draw(context, settings, [item], tmp_path)


def test_what_is_said_about_a_record_keeps_the_file_unless_another_one_is_meant():
    for file, line in ((None, "a.png: row 1: broken (mend it)"), ("list.tsv", "list.tsv: row 1: broken (mend it)")):
        with pytest.raises(InputError) as caught, about("row 1", file):
            raise InputError("broken", file="a.png", remedy="mend it")
        assert str(caught.value) == line
