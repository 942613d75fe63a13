"""Durations of manifests are held against the files: no transcript gets more or less sound than it is about."""

import pytest
import soundfile
from corpora import tone, write_lines

from earwise.data.asr import Recording, recording_of
from earwise.data.parts import open_part
from earwise.recipe.data import ManifestPart

LONGER = "the file is longer or shorter than the manifest says"
EARLY = "the file ends before the manifest's part of it"


@pytest.fixture
def folder(tmp_path):
    """`a.wav` of 5 s and `b.wav` of 3 s."""
    soundfile.write(tmp_path / "a.wav", tone(5.0), 16_000)
    soundfile.write(tmp_path / "b.wav", tone(3.0), 16_000)
    return tmp_path


def heard(path, format_, **changes):
    """Which recordings of a manifest are left, and what was dropped."""
    settings = ManifestPart(format=format_, path=str(path), **changes)
    part = open_part(settings, media="m", extracted=path.parent / "none").conversations
    items = [item for place in range(len(part)) for item in part[place]]
    return [(item.meta["record"], recording_of(item, path)) for item in items], part.drops.counts


def nemo(folder, *rows):
    base = {"audio_filepath": "a.wav", "text": "red star"}
    return heard(write_lines(folder / "manifest.json", [base | row for row in rows]), "nemo")


def test_nemo_reads_the_first_seconds_of_a_longer_file(folder):
    left, dropped = nemo(folder, {"duration": 2.0}, {"duration": 2.0, "offset": 0.0}, {"duration": 2.0, "offset": 1.5})
    assert left == [
        ("line 1", Recording(duration_s=2.0)),
        ("line 2", Recording(duration_s=2.0)),
        ("line 3", Recording(offset_s=1.5, duration_s=2.0)),
    ]
    assert dropped == {}


def test_nemo_drops_what_ends_after_its_file(folder):
    left, dropped = nemo(
        folder,
        {"duration": 5.2},
        {"duration": 2.0, "offset": 3.2},
        {"duration": 1.0, "offset": 7.0},
        {"duration": 5.04},
    )
    assert left == [("line 4", Recording())]  # rounded: the whole file
    assert dropped == {EARLY: 3}


def recording(file="a.wav", seconds=5.0, **changes):
    source = {"type": "file", "channels": [0], "source": file}
    return {"id": "r", "sources": [source], "sampling_rate": 16_000, "duration": seconds} | changes


def cut(said_s, start=0.0, **changes):
    said = {"id": "s", "recording_id": "r", "start": 0.0, "duration": said_s, "text": "red star"}
    return {"id": "c", "start": start, "duration": said_s, "recording": recording(**changes), "supervisions": [said]}


def test_lhotse_drops_recordings_that_are_not_as_long_as_they_say(folder):
    cuts = [cut(2.0, seconds=2.0), cut(2.0, seconds=8.0), cut(5.0), cut(2.0, start=1.0), cut(5.0, seconds=5.09)]
    left, dropped = heard(write_lines(folder / "cuts.jsonl", cuts), "lhotse")
    assert left == [
        ("line 3 (c)", Recording()),
        ("line 4 (c)", Recording(offset_s=1.0, duration_s=2.0)),
        ("line 5 (c)", Recording()),
    ]
    assert dropped == {LONGER: 2}


def test_lhotse_drops_cuts_that_end_after_a_file_of_unknown_length(folder):
    cuts = [cut(2.0, start=4.0), cut(2.0, start=2.0)]
    for each in cuts:
        del each["recording"]["duration"]
    left, dropped = heard(write_lines(folder / "cuts.jsonl", cuts), "lhotse")
    assert left == [("line 2 (c)", Recording(offset_s=2.0, duration_s=2.0))]
    assert dropped == {EARLY: 1}


def test_supervisions_are_compared_with_the_files_of_their_recordings(folder):
    recordings = write_lines(
        folder / "recordings.jsonl", [recording(id="long", seconds=60.0), recording("b.wav", 3.0, id="right")]
    )
    rows = [
        {"id": "s1", "recording_id": "long", "start": 1.0, "duration": 2.0, "text": "red"},
        {"id": "s2", "recording_id": "right", "start": 1.0, "duration": 2.0, "text": "star"},
        {"id": "s3", "recording_id": "right", "start": 2.0, "duration": 2.0, "text": "box"},
    ]
    path = write_lines(folder / "supervisions.jsonl", rows)
    left, dropped = heard(path, "lhotse", recordings=str(recordings))
    assert left == [("line 2 (s2)", Recording(offset_s=1.0, duration_s=2.0))]
    assert dropped == {LONGER: 1, EARLY: 1}


def test_the_first_30_s_of_a_longer_part_are_kept_where_the_recipe_says_so(folder):
    soundfile.write(folder / "a.wav", tone(50.0), 16_000)
    path = write_lines(
        folder / "manifest.json",
        [
            {"audio_filepath": "a.wav", "duration": 40.0, "text": "one two three four"},
            {"audio_filepath": "b.wav", "duration": 40.0, "text": "one two"},
        ],
    )
    left, dropped = heard(path, "nemo", long="cut")
    assert left == [("line 1", Recording(duration_s=30.0))]
    assert dropped == {"words after 30 s, the rest is kept": 2, EARLY: 1}
