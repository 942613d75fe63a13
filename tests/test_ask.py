"""`earwise ask`: the answers that `evaluate` stored, and one line for what cannot be asked."""

import json
from pathlib import Path

import pytest
from earwise_process import earwise
from finished_run import predictions
from PIL import Image

from earwise.data.media import resolve
from earwise.data.prompts import query_text
from earwise.errors import InputError
from earwise.evaluate.benchmarks import load_benchmark
from earwise.models.shipped import SHIPPED
from earwise.speech.clips import read_clips
from earwise.use.ask import Question, ask
from earwise.use.opening import find_model


def questions(run: Path, benchmark: str) -> dict[str, Question]:
    folder, clips = run / "stages/data/benchmarks", run / f"stages/speech/benchmarks/{benchmark}"
    spoken = {clip.item: clips / clip.path for clip in read_clips(clips).clips}
    return {
        item.id: Question((resolve(folder, item.image),), speech=spoken[item.id], text=query_text(item))
        for item in load_benchmark(benchmark, folder)
        if item.id in spoken and item.image
    }


def test_the_answers_are_those_of_evaluate(small_run: Path) -> None:
    stored = predictions(small_run, "aligned", "textvqa")
    typed = predictions(small_run, "base", "textvqa")
    asked = [item for item, _ in stored][:2]
    for item in asked:
        answered = ask(f"{small_run}:aligned", questions(small_run, "textvqa")[item], heard=True, max_new_tokens=8)
        assert answered.texts["typed"] == typed[item, "image_text"]["text"]
        assert answered.texts["spoken"] == stored[item, "image_speech"]["text"]
        heard = stored[item, "image_transcript"]["heard"]
        assert heard
        assert answered.texts["heard"].startswith(heard)  # here the transcript may be longer


def test_the_command_prints_the_answer_and_nothing_else(small_run: Path) -> None:
    item, question = next(iter(questions(small_run, "textvqa").items()))
    told = predictions(small_run, "base", "textvqa")[item, "image_text"]["text"]
    picture = ["--image", question.images[0]]
    alone = earwise(small_run.parent, "ask", "internvl-micro", *picture, "--text", question.text)
    assert (alone.code, alone.stdout, alone.stderr) == (0, f"{told}\n", "")
    both = earwise(
        small_run.parent, "ask", "small:self_kd_layers@1", *picture, "--text", question.text, "--speech",
        question.speech, "--json",
    )  # fmt: skip
    assert both.code == 0
    assert json.loads(both.stdout).keys() == {"model", "typed", "spoken"}
    assert json.loads(both.stdout)["typed"] == told


def test_a_video_and_a_sound_are_asked_about(tiny_checkpoints: dict, tmp_path: Path, small_run: Path) -> None:
    from videos import write_video

    speech = next(iter(questions(small_run, "textvqa").values())).speech
    about_sound = ask(f"{small_run}:aligned", Question(sound=speech, text="What is it?"), heard=False, max_new_tokens=2)
    assert about_sound.texts.keys() == {"typed"}
    write_video(tmp_path / "v.mp4", size=(64, 64))
    base = str(tiny_checkpoints["qwen2_vl"])
    seen = ask(base, Question(video=tmp_path / "v.mp4", text="What is it?"), heard=False, max_new_tokens=2)
    assert seen.texts.keys() == {"typed"}


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("RUN", "a run has several models"),
        ("RUN:nobody", "the run has no training 'nobody'"),
        ("RUN:self_kd_layers@7", "the run has no seed 7"),
        ("RUN/stages:self_kd_layers", "no run folder: it has no recipe.json"),
        ("RUN/stages", "neither a run nor a model"),
        ("./nowhere", "no such model"),
    ],
)
def test_what_is_no_model_is_said_in_one_line(small_run: Path, model: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        find_model(model.replace("RUN", str(small_run)))
    assert error.value.remedy


def test_every_form_of_a_model_is_found(small_run: Path) -> None:
    ears = small_run / "stages/seed1/train.self_kd_layers/ears"
    of_run, alone = find_model(f"{small_run}:self_kd_layers@1"), find_model(str(ears))
    assert of_run.ears == alone.ears == ears
    assert of_run.base == alone.base == "internvl-micro"
    assert find_model(f"{small_run}:base").ears is None
    assert find_model("internvl-micro").base == "internvl-micro"
    assert find_model(str(SHIPPED / "internvl-micro")).ears is None
    assert find_model("org/name").base == "org/name"


def test_what_cannot_be_asked_is_said_in_one_line(tmp_path: Path, small_run: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    Image.new("RGB", (8, 8)).save(tmp_path / "b.png")
    speech = next(iter(questions(small_run, "textvqa").values())).speech
    cases = {
        ("internvl-micro",): "no question",
        ("internvl-micro", "--text", "x", "--heard"): "--heard is about a spoken question",
        ("internvl-micro", "--text", "x", "--image", "a.png"): "a.png: question: not an image",
        ("internvl-micro", "--text", "x", "--image", "none.png"): "none.png: question: image file not found",
        ("internvl-micro", "--speech", "b.png"): "b.png: not readable as audio",
        ("internvl-micro", "--speech", speech): "the model has no ears",
        ("internvl-micro", "--text", "x", "--image", "b.png", "--sound", speech): "cannot be shown together",
        (f"{small_run}:aligned", "--sound", speech, "--speech", speech): "no model is trained for",
    }
    for arguments, said in cases.items():
        result = earwise(tmp_path, "ask", *arguments)
        assert (result.code, result.stdout) == (2, "")
        assert said in result.stderr
        assert result.stderr.count("\n") == 1, result.stderr
