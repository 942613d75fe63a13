"""MELD and IEMOCAP: files in their public layout become items, and what is wrong is one line that names it."""

import pytest
from emotion_corpora import tone, utterance, write_dialogue, write_meld
from videos import write_video

from earwise.data.drops import Drops
from earwise.data.iemocap import read_iemocap
from earwise.data.legacy_text import read_legacy_text
from earwise.data.meld import read_meld
from earwise.data.parts import open_part, part_files
from earwise.errors import InputError
from earwise.recipe.data import IemocapPart, MeldPart


def test_an_utterance_of_meld_asks_for_one_of_seven_emotions(tmp_path):
    path = write_meld(tmp_path / "test_sent_emo.csv", utterance(3, 0, "joy", "Oh, “hi”,\nyou.", "Rachel"), ending="mp4")
    (item,) = read_meld(path)
    assert (item.id, item.source, item.cluster, item.kind) == ("meld-test-dia3_utt0", "meld", "test-dia3", "joy")
    assert item.question == "Which emotion does the speaker express?"
    assert item.choices == ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
    assert item.answers == ("D",)
    assert (item.video, item.audio) == ("test/output_repeated_splits_test/dia3_utt0.mp4", None)
    assert item.meta == {"transcript": "Oh, “hi”,\nyou.", "speaker": "Rachel", "sentiment": "neutral"}


@pytest.mark.parametrize(
    ("table", "clips"),
    [
        ("train_sent_emo.csv", "train_splits"),
        ("train_sent_emo.csv", "train/train_splits"),
        ("dev_sent_emo.csv", "dev_splits_complete"),
        ("test_sent_emo.csv", "test"),
        ("own_sent_emo.csv", "own_splits"),
    ],
)
def test_clips_are_found_as_the_archives_unpack_and_a_wav_file_is_the_sound(tmp_path, table, clips):
    path = write_meld(tmp_path / table, utterance(0, 1, "fear"), clips=clips)
    assert [(item.audio, item.video) for item in read_meld(path)] == [(f"{clips}/dia0_utt1.wav", None)]
    write_video(tmp_path / clips / "dia0_utt1.mp4", frames=2)
    assert [(item.audio, item.video) for item in read_meld(path)] == [
        (f"{clips}/dia0_utt1.wav", f"{clips}/dia0_utt1.mp4")
    ]


def test_apostrophes_of_windows_are_apostrophes_however_they_are_stored(tmp_path):
    rows = [utterance(0, 0, "joy", "It\x92s \x93fine\x94"), utterance(0, 1, "joy", "Café")]
    stored = write_meld(tmp_path / "test_sent_emo.csv", *rows)
    assert [item.meta["transcript"] for item in read_meld(stored)] == ["It’s “fine”", "Café"]
    assert read_legacy_text(stored).mended == 3
    own = write_meld(tmp_path / "old" / "test_sent_emo.csv", utterance(0, 0, "joy", "It’s"), encoding="cp1252")
    assert [item.meta["transcript"] for item in read_meld(own)] == ["It’s"]
    assert read_legacy_text(own).mended == 1
    own.write_bytes(b"Utterance\nIt\x81s\n")
    with pytest.raises(InputError, match=r"csv: line 2: neither UTF-8 nor Windows-1252 text: byte 0x81"):
        read_meld(own)


MELD_WRONG = [
    (utterance(0, 1, "boredom"), "line 3: unknown emotion 'boredom' .known: anger, disgust, fear, joy, neutral"),
    (utterance(0, 1, " "), "line 3: 'Emotion' is not a text: ' '"),
    (utterance("a", 1, "joy"), "line 3: 'Dialogue_ID' is not a whole number: 'a'"),
    (utterance(0, "../1", "joy"), "line 3: 'Utterance_ID' is not a whole number: '../1'"),
    (utterance(0, 0, "fear"), "line 3: its id stands twice: meld-test-dia0_utt0"),
]


@pytest.mark.parametrize(("row", "what"), MELD_WRONG)
def test_a_wrong_row_of_meld_is_one_line(tmp_path, row, what):
    path = write_meld(tmp_path / "test_sent_emo.csv", utterance(0, 0, "joy"), row)
    with pytest.raises(InputError, match=rf"test_sent_emo\.csv: {what}") as error:
        read_meld(path)
    assert "\n" not in str(error.value)
    refused = []
    assert len(read_meld(path, refuse=refused.append)) == 1
    assert len(refused) == 1


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "missing columns: Utterance, Speaker"),
        ("Utterance,Speaker,Emotion,Sentiment,Dialogue_ID\n", r"missing columns: Utterance_ID \(it has: Utterance"),
        ("Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID\n", "no records"),
        (
            "Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID\nHi,Ross\n",
            "line 2: 2 fields where the header",
        ),
        ('Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID\n"Hi', "line 2: not a readable CSV file"),
    ],
)
def test_a_table_that_is_none_is_one_line(tmp_path, text, what):
    path = tmp_path / "test_sent_emo.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"test_sent_emo\.csv: {what}"):
        read_meld(path)
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        read_meld(tmp_path / "none.csv")


def test_a_missing_clip_of_meld_is_an_error_or_counted_and_so_is_the_one_that_nothing_plays(tmp_path):
    rows = [utterance(125, number, "joy") for number in (1, 2, 3)]
    path = write_meld(tmp_path / "train_sent_emo.csv", *rows, clips="train_splits", ending="mp4")
    (tmp_path / "train_splits/dia125_utt1.mp4").unlink()
    with pytest.raises(InputError, match=r"line 2: file 'train_splits/dia125_utt1\.mp4' not found"):
        read_meld(path)
    broken = tmp_path / "train_splits/dia125_utt3.mp4"
    broken.write_bytes(broken.read_bytes()[:200])
    drops = Drops()
    assert [item.id for item in read_meld(path, drops=drops)] == ["meld-train-dia125_utt2"]
    assert list(drops.lines()) == ["dropped 2: sound or video missing (first: line 2)"]
    refused = []
    read_meld(path, refuse=refused.append)
    assert "file 'train_splits/dia125_utt3.mp4' cannot be played: not readable as video" in str(refused[1])


def test_turns_of_iemocap_are_four_classes_with_excitement_among_the_happy(tmp_path):
    release = tmp_path / "IEMOCAP_full_release"
    labels = ("ang", "hap", "exc", "neu", "sad", "fru", "xxx", "xxx", "sur", "fea", "dis", "oth")
    write_dialogue(release, "Ses05F_impro01", *((f"M{n:03}", label) for n, label in enumerate(labels)))
    drops = Drops()
    items = read_iemocap(release, drops=drops)
    assert [(item.kind, item.answers[0]) for item in items] == [
        ("ang", "A"), ("hap", "B"), ("hap", "B"), ("neu", "C"), ("sad", "D"),
    ]  # fmt: skip
    assert items[2].choices == ("angry", "happy", "neutral", "sad")
    assert (items[2].id, items[2].cluster) == ("iemocap-Ses05F_impro01_M002", "Ses05F_impro01")
    folder = "IEMOCAP_full_release/Session5/sentences/wav/Ses05F_impro01"
    assert items[2].audio == f"{folder}/Ses05F_impro01_M002.wav"
    assert items[2].meta == {"transcript": "Words of M002.", "speaker": "Ses05M", "session": 5, "label": "exc"}
    assert drops.counts == {
        "labelled fru (frustration), none of the four classes": 1,
        "labelled xxx (annotators disagree), none of the four classes": 2,
        "labelled sur (surprise), none of the four classes": 1,
        "labelled fea (fear), none of the four classes": 1,
        "labelled dis (disgust), none of the four classes": 1,
        "labelled oth (other), none of the four classes": 1,
    }


def test_what_is_left_out_of_iemocap_is_logged_where_nobody_counts_it(tmp_path, caplog):
    write_dialogue(tmp_path / "release", "Ses05F_impro01", ("F000", "neu"), ("F001", "fru"))
    with caplog.at_level("INFO"):
        read_iemocap(tmp_path / "release")
    assert "dropped 1: labelled fru (frustration), none of the four classes (first: Ses05F_impro01_F001)" in caplog.text


def test_the_fifth_session_is_read_unless_others_are_asked_for(tmp_path):
    for session in (1, 3, 5):
        write_dialogue(tmp_path / "r", f"Ses{session:02}F_impro01", ("F000", "neu"), words=session == 1)
    assert [item.meta["session"] for item in read_iemocap(tmp_path / "r")] == [5]
    items = read_iemocap(tmp_path / "r", sessions=(3, 1))
    assert [(item.meta["session"], item.meta["transcript"]) for item in items] == [(3, ""), (1, "Words of F000.")]
    with pytest.raises(
        InputError, match=r"Session2/dialog/EmoEvaluation: no dialogues in this session .name the folder"
    ):
        read_iemocap(tmp_path / "r", sessions=(1, 2))


def test_hidden_files_of_an_archive_are_no_dialogues(tmp_path):
    write_dialogue(tmp_path, "Ses05F_impro01", ("F000", "neu"))
    (tmp_path / "Session5/dialog/EmoEvaluation/._Ses05F_impro01.txt").write_bytes(b"[\x00\x05\x16\x07]\x81")
    assert len(read_iemocap(tmp_path)) == 1


IEMOCAP_WRONG = [
    ("[1.0 - 2.0]\tSes05F_impro01_F001\tbor\t[2.5, 2.5, 2.5]", "unknown emotion 'bor' .known: ang, hap, neu, sad, exc"),
    ("[1.0 - 2.0]\tSes05F_impro01_F001\tneu", r"not a turn's line .it reads \[START - END\] TURN EMOTION"),
    ("[1.0 - 2.0]\tSes05F_impro02_F001\tneu\t[2, 2, 2]", "turn 'Ses05F_impro02_F001' is not of this dialogue"),
    ("[1.0 - 2.0]\tSes05F_impro01_../x\tneu\t[2, 2, 2]", "turn 'Ses05F_impro01_../x' is not of this dialogue"),
    ("[1.0 - 2.0]\tSes05F_impro01_F000\tneu\t[2, 2, 2]", "its id stands twice: iemocap-Ses05F_impro01_F000"),
    ("[1.0 - 2.0]\tSes05F_impro01_F001\tneu\t[2, 2, 2]", "file 'r/Session5/sentences/wav/.*_F001.wav' not found"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "what"), IEMOCAP_WRONG)
def test_a_wrong_line_of_iemocap_is_one_line(tmp_path, line, what):
    write_dialogue(tmp_path / "r", "Ses05F_impro01", ("F000", "neu"))
    path = tmp_path / "r/Session5/dialog/EmoEvaluation/Ses05F_impro01.txt"
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(InputError, match=rf"Ses05F_impro01\.txt: line 6: {what}") as error:
        read_iemocap(tmp_path / "r")
    assert "\n" not in str(error.value)
    refused = []
    assert len(read_iemocap(tmp_path / "r", refuse=refused.append)) == 1
    assert len(refused) == 1


def test_a_dialogue_in_the_folder_of_another_session_is_refused(tmp_path):
    write_dialogue(tmp_path, "Ses05F_impro01", ("F000", "neu"))
    (tmp_path / "Session5").rename(tmp_path / "Session4")
    with pytest.raises(InputError, match=r"turn 'Ses05F_impro01_F000' is not of .* .it belongs to session 4"):
        read_iemocap(tmp_path, sessions=(4,))


def test_meld_can_be_a_part_of_what_is_learned(tmp_path):
    path = write_meld(tmp_path / "dev_sent_emo.csv", utterance(0, 0, "joy"), utterance(110, 7, "joy"), clips="dev")
    (tmp_path / "dev/dia110_utt7.wav").unlink()
    part = open_part(MeldPart(format="meld", path=str(path)), media="media/meld", extracted=tmp_path / "none")
    ((item,),) = part.conversations
    assert (item.id, item.audio, part.media) == ("meld-meld-dev-dia0_utt0", "media/meld/dev/dia0_utt0.wav", tmp_path)
    assert part.conversations.drops.counts == {"sound or video missing": 1}


def test_iemocap_can_be_a_part_of_what_is_learned_by_sessions(tmp_path):
    for session in (1, 2, 3, 4, 5):
        write_dialogue(tmp_path / "r", f"Ses{session:02}F_impro01", ("F000", "neu"), ("F001", "fru"))
    settings = IemocapPart(format="iemocap", path=str(tmp_path / "r"))
    part = open_part(settings, media="media/iemocap", extracted=tmp_path / "none")
    items = [item for (item,) in part.conversations]
    assert [item.meta["session"] for item in items] == [1, 2, 3, 4]
    assert (tmp_path / items[0].audio.removeprefix("media/iemocap/")).is_file()
    assert part.media == tmp_path
    assert part.conversations.drops.counts == {"labelled fru (frustration), none of the four classes": 4}
    one = settings.model_copy(update={"sessions": (2,)})
    assert [file.relative_to(tmp_path / "r").as_posix() for file in part_files(one)] == [
        "Session2/dialog/EmoEvaluation/Ses02F_impro01.txt",
        "Session2/dialog/transcriptions/Ses02F_impro01.txt",
    ]
    (tmp_path / "r/Session2/sentences/wav/Ses02F_impro01/Ses02F_impro01_F000.wav").unlink()
    with pytest.raises(InputError, match="no usable item: dropped 1: labelled fru"):
        open_part(one, media="media/iemocap", extracted=tmp_path / "none")


def test_a_sound_beside_the_unplayable_clip_is_used(tmp_path):
    path = write_meld(tmp_path / "train_sent_emo.csv", utterance(125, 3, "joy"), clips="train_splits", ending="mp4")
    (tmp_path / "train_splits/dia125_utt3.mp4").write_bytes(b"none")
    tone(tmp_path / "train_splits/dia125_utt3.wav")
    assert [item.audio for item in read_meld(path)] == ["train_splits/dia125_utt3.wav"]
