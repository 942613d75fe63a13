"""MELD and IEMOCAP in their public layout, as small as a test needs them."""

import csv

import numpy as np
from videos import write_video

from earwise.data.media import save_wav

COLUMNS = (
    "Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season", "Episode",
    "StartTime", "EndTime",
)  # fmt: skip


def tone(path, seconds=0.1):
    """A square wave at 4 kHz."""
    save_wav(path, np.tile(np.float32([0.2, 0.2, -0.2, -0.2]), round(seconds * 4000)))


def utterance(dialogue, number, emotion, text="Hi.", speaker="Ross"):
    """One row of a table of MELD."""
    times = {"StartTime": "00:14:38,127", "EndTime": "00:14:40,378"}
    row = {"Sr No.": 1, "Utterance": text, "Speaker": speaker, "Emotion": emotion, "Sentiment": "neutral"}
    return row | {"Dialogue_ID": dialogue, "Utterance_ID": number, "Season": 3, "Episode": 19} | times


def write_meld(path, *rows, clips="test/output_repeated_splits_test", ending="wav", encoding="utf-8"):
    """A table, and a clip for every row in the folder `clips` beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        clip = path.parent / clips / f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}.{ending}"
        write_video(clip, frames=2) if ending == "mp4" else tone(clip)
    return path


def write_dialogue(release, dialogue, *turns, words=True):
    """A dialogue of IEMOCAP, such as `Ses05F_impro01`, from turns `("F000", "neu")`, with their sounds and words."""
    session = release / f"Session{int(dialogue[3:5])}"
    lines, said = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""], []
    for turn, label in turns:
        name = f"{dialogue}_{turn}"
        lines += [f"[6.2901 - 8.2357]\t{name}\t{label}\t[2.5000, 2.5000, 2.5000]", "C-E2:\tNeutral;\t()", ""]
        said += [f"{name} [006.2901-008.2357]: Words of {turn}.", "M: Yeah."]
        tone(session / "sentences" / "wav" / dialogue / f"{name}.wav")
    _write(session / "dialog" / "EmoEvaluation" / f"{dialogue}.txt", lines)
    if words:
        _write(session / "dialog" / "transcriptions" / f"{dialogue}.txt", said)


def _write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
