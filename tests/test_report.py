"""The report page: what it says, that it is safe and complete in itself, and that it does without what is missing."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import report_fixture as fixture
import soundfile
from PIL import Image
from rich.console import Console

from earwise.errors import InputError
from earwise.records import Item
from earwise.report import Answer, ShownItem, build_report, console_table
from earwise.report.charts import Axis, log_axis, nice_axis
from earwise.report.console import console_tables
from earwise.report.curves import read_training, read_trainings, smooth
from earwise.report.items import make_cell, make_gallery, outcome
from earwise.report.media import audio_format, embed_audio, embed_picture
from earwise.report.origin import read_origin
from earwise.report.summary import parse_summary, read_summary
from earwise.report.tables import kind_breakdown
from earwise.report.words import interval, number, p_value, verdict

HOSTILE = """"><script>alert(1)</script><img src=x onerror='a()'>{{ 7*7 }}&amp;</style>[red]"""


VOID = {"meta", "link", "img", "input", "br"}


class Page(HTMLParser):
    """Tags with their attributes, and the text inside each tag in the order of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open = [""]
        self.feed(text)
        self.close()
        assert self._open == [""], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1], data))

    def text(self, tag: str) -> str:
        return "".join(text for name, text in self.texts if name == tag)

    @property
    def visible(self) -> str:
        """All text, with single spaces."""
        return " ".join(" ".join(text for tag, text in self.texts if tag not in ("script", "style")).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def build(tmp_path: Path, data: dict[str, Any] | None = None, items: int = 3, question: str | None = None) -> str:
    folder = fixture.write_run(tmp_path / "run", data)
    shown = fixture.shown_items(tmp_path / "media", items, question)
    return build_report(folder, shown, tmp_path / "out" / "report.html").read_text()


def headline(**change: Any) -> str:
    return verdict(parse_summary(json.dumps({**fixture.summary(), **change}))).headline.replace("\xa0", " ")


def one_model(spoken: float, ci95: tuple[float, float]) -> dict[str, Any]:
    """A single model on a single benchmark, with a typed score of 95."""
    entry = fixture.result(spoken, 100, 0.0)
    entry["gap"] = {"value": 95 - spoken, "ci95": list(ci95), "p": 0.5}
    return {"micro": entry}


# Words


def test_numbers_are_printed_with_true_minus_and_without_signed_zero() -> None:
    assert [number(v) for v in (-1.25, -0.04, 12.35, None)] == ["−1.2", "0.0", "12.3", "–"]
    assert [number(v, signed=True) for v in (0.6, -0.6, 0.01)] == ["+0.6", "−0.6", "0.0"]
    assert interval((-1.3, 2.4)) == "−1.3 to 2.4"
    assert [p_value(p) for p in (0.0004, 0.0316, None)] == ["<\xa00.001", "0.032", "–"]


def test_the_verdict_names_the_path_and_the_gap() -> None:
    assert headline() == (
        "Spoken questions: aligned 18.6 → SFT 74.6 → Self-KD 75.2 → Self-KD + layers 86.6; typed 95.0. "
        "The gap closes from 76.4 to 8.4 points (95 % interval 7.0 to 10.0)."
    )


def test_the_verdict_says_so_when_a_comparison_includes_zero() -> None:
    notes = [note.replace("\xa0", " ") for note in verdict(parse_summary(json.dumps(fixture.summary()))).notes]
    assert notes == [
        "Self-KD + layers beats SFT by 12.0 points (95 % interval 9.8 to 14.2, p < 0.001, n = 1,200).",
        "No difference shown between Self-KD and SFT: +0.6 points, and the 95 % interval (−1.3 to 2.4) includes 0 "
        "(p = 0.553, n = 1,200).",
    ]


def test_the_verdict_does_not_claim_a_closing_gap_from_touching_intervals() -> None:
    models = {"sft": one_model(80.0, (13.0, 17.0)), "self_kd": one_model(81.0, (12.0, 16.0))}
    assert headline(models=models, comparisons=[]).endswith(
        "The gap is 15.0 points for SFT and 14.0 for Self-KD; the data do not show that it closes."
    )
    apart = {"a": "self_kd", "b": "sft", "benchmark": "micro", "view": "image_speech", "value": 1.0, "n": 100}
    paired = [{**apart, "ci95": [0.2, 1.8], "p": 0.01}]
    assert "The gap closes from 15.0 to 14.0 points" in headline(models=models, comparisons=paired)


def test_the_verdict_of_a_worse_method_and_of_a_gap_that_cannot_be_told_from_zero() -> None:
    models = {"sft": one_model(80.0, (13.0, 17.0)), "other": one_model(70.0, (23.0, 27.0))}
    assert headline(models=models, comparisons=[]).endswith("No other model has a smaller gap than SFT (15.0 points).")
    assert headline(models={"sft": one_model(94.6, (-0.6, 1.4))}, comparisons=[]) == (
        "Spoken questions: SFT 94.6; typed 95.0. The gap is 0.4 points (95 % interval −0.6 to 1.4, which includes 0)."
    )


# Axes and curves


def test_axes_are_round_and_hold_all_values() -> None:
    assert nice_axis([80.4, 87.6]) == Axis(80, 88, (80, 82, 84, 86, 88))
    assert nice_axis([-1.3, 14.2]) == Axis(-5, 15, (-5, 0, 5, 10, 15))
    assert nice_axis([3.0, 3.0]).low < 3 < nice_axis([3.0, 3.0]).high
    assert nice_axis([0.0, 50.0]).at(12.5) == "25.00%"
    assert log_axis([0.01, 100.0]) == Axis(-2, 2, (-2, -1, 0, 1, 2))
    assert [round(10**tick, 9) for tick in log_axis([0.2, 6.0]).ticks] == [0.1, 0.3, 1, 3, 10]


def test_smoothing_takes_means_of_equal_groups() -> None:
    assert smooth([(1, 1.0), (2, 3.0), (3, 5.0), (4, 9.0)], buckets=2) == [(1.5, 2.0), (3.5, 7.0)]
    assert smooth([(1, 1.0)], buckets=2) == [(1.0, 1.0)]


def test_curves_come_from_nested_stages_in_the_order_of_the_run(tmp_path: Path) -> None:
    for name in ("seed0/train.sft", "align", "seed1/train.sft"):
        fixture.write_metrics(tmp_path / "stages" / name / "metrics.jsonl", ("sft", "logits"), steps=2)
    trainings = read_trainings(tmp_path, ("align", "seed1/train.sft"))
    assert [training.name for training in trainings] == ["align", "seed1/train.sft", "seed0/train.sft"]
    assert [curve.name for curve in trainings[0].curves] == ["loss", "sft", "logits"]


def test_a_resumed_a_growing_and_a_diverged_training_are_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = ['{"step": 1, "loss": 4}', '{"step": 2, "loss": 9}', '{"step": 2, "loss": 3, "terms/sft": "nan"}']
    path.write_text("\n".join([*lines, '{"step": 3, "accuracy": 0.5}', '{"step": 4, "lo']))
    training = read_training("sft", path)
    assert [(curve.name, curve.points) for curve in training.curves] == [("loss", ((1, 4.0), (2, 3.0)))]
    assert (training.steps, training.left_out) == (2, 1)


def test_a_corrupt_metrics_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 4}\n{"loss": 4}\n')
    with pytest.raises(InputError, match=r"metrics\.jsonl: line 2: not a metrics line: KeyError 'step'"):
        read_training("sft", path)


# Items and media


def test_outcomes_and_marks() -> None:
    yes, no, part = Answer("a", 1.0, False), Answer("b", 0.0, False), Answer("c", 0.6, False)
    pairs = [(yes, no), (no, yes), (part, yes), (no, Answer("", 0.0, True))]
    assert [outcome({"image_text": t, "image_speech": s}) for t, s in pairs] == ["lost", "won", "right", "wrong"]
    assert outcome({"image_text": yes}) == "unpaired"
    assert [make_cell(a).mark for a in (yes, part, no, Answer("", 0.0, True))] == [
        "right", "partly right", "wrong", "invalid",
    ]  # fmt: skip


def test_the_gallery_offers_only_what_occurs(tmp_path: Path) -> None:
    item = Item(id="1", source="mme", question="?", answers=("yes", "yes", "Yes"), cluster="1")
    answers = {"sft": {"image_text": Answer("yes", 1.0, False), "image_speech": Answer("no", 0.0, False)}}
    gallery = make_gallery([ShownItem(item, None, None, None, answers)])
    assert (gallery.outcomes, gallery.kinds, gallery.cards[0].gold) == ({"lost"}, (), "yes / Yes")


def test_pictures_are_embedded_as_they_are_or_scaled_down(tmp_path: Path) -> None:
    small = fixture.write_picture(tmp_path / "small.png", 1)
    picture = embed_picture(small, record="1")
    assert base64.b64decode(picture.uri.partition(",")[2]) == small.read_bytes()
    Image.new("RGBA", (1024, 2048)).save(tmp_path / "large.png")
    large = embed_picture(tmp_path / "large.png", record="1")
    assert (large.width, large.height) == (256, 512)
    assert Image.open(io.BytesIO(base64.b64decode(large.uri.partition(",")[2]))).size == (256, 512)


def test_sound_is_lossless_while_the_page_stays_small(tmp_path: Path) -> None:
    fixture.write_clip(tmp_path / "a.wav", "1", "a", 0)
    uri = embed_audio(tmp_path / "a.wav", audio_format(2.5), record="1")
    samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(uri.partition(",")[2])), dtype="int16")
    assert uri.startswith("data:audio/flac")
    assert rate_hz == 16_000
    assert (samples == soundfile.read(tmp_path / "a.wav", dtype="int16")[0]).all()
    assert audio_format(1800) == "MP3"
    assert len(embed_audio(tmp_path / "a.wav", "MP3", record="1")) < len(uri) / 2


@pytest.mark.parametrize("content", [None, b"no media"], ids=["missing", "broken"])
def test_media_that_cannot_be_shown_are_named(tmp_path: Path, content: bytes | None) -> None:
    if content:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match=r"x: scene-1: .*picture"):
        embed_picture(tmp_path / "x", record="scene-1")
    with pytest.raises(InputError, match="x: scene-1: cannot read the sound"):
        embed_audio(tmp_path / "x", "FLAC", record="scene-1")


# The page


def test_the_page_shows_scores_with_interval_and_n(tmp_path: Path) -> None:
    visible = Page(build(tmp_path)).visible
    for expected in (
        "86.6 84.7 to 88.5", "8.4 7.0 to 10.0", "91.2 %", "1,200", "51.2 %", "en-gb-scotland+f2", "no difference shown",
        "alpha 0.25", "4f1c2d9a8b7e", "diff-0123456789ab.patch", "earwise run recipes/quickstart.toml",
        "heard “is there a red cycle in the picture?”", "the the the the", "layers (log scale)",
    ):  # fmt: skip
        assert expected in visible


def test_the_page_is_complete_in_itself_and_allows_only_its_own_script(tmp_path: Path) -> None:
    text = build(tmp_path)
    page = Page(text)
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "srcset", "poster"):
            if name in attributes:
                assert re.match(r"data:|#", attributes[name]), (tag, attributes[name][:80])
    assert "url(" not in text
    assert "@import" not in text
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    digest = base64.b64encode(hashlib.sha256(page.text("script").encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{digest}'" in policy


def test_everything_from_outside_is_escaped(tmp_path: Path) -> None:
    text = json.dumps(fixture.summary())
    for name in ("self_kd_layers", "quickstart", "micro_mme", "image_transcript", "existence", "alpha 0.25", "torch",
                 "align", "en-gb+m3"):  # fmt: skip
        text = text.replace(json.dumps(name), json.dumps(HOSTILE + name))
    folder = fixture.write_run(tmp_path / "run", json.loads(text))
    (folder / "recipe.json").write_text(json.dumps({HOSTILE: HOSTILE}))
    fixture.write_metrics(folder / "stages" / "x<script>" / "metrics.jsonl", (HOSTILE, "sft"))
    picture = fixture.write_picture(tmp_path / "a.png", 1)
    clip = fixture.write_clip(tmp_path / "a.wav", "1", HOSTILE, 0).model_copy(update={"voice": HOSTILE})
    item = Item(
        id=HOSTILE, source=HOSTILE, question=HOSTILE, answers=(HOSTILE,), choices=(HOSTILE, "b"), cluster="1",
        kind=HOSTILE, suffix=HOSTILE,
    )  # fmt: skip
    answers = {HOSTILE: {"image_text": Answer(HOSTILE, 1.0, False), HOSTILE: Answer(HOSTILE, 0.0, True, HOSTILE)}}
    shown = [ShownItem(item, picture, clip, tmp_path / "a.wav", answers)]
    page = Page(build_report(folder, shown, tmp_path / "report.html").read_text())
    assert len(page.all("script")) == 1
    assert len(page.all("style")) == 1
    assert len(page.all("img")) == 1
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert page.all("article")[0]["data-kind"] == HOSTILE
    assert page.all("article")[0]["data-source"] == HOSTILE
    assert HOSTILE in page.all("img")[0]["alt"]
    assert page.visible.count(HOSTILE) > 20


@pytest.mark.parametrize("missing", ["image_speech", "ablation", "comparisons", "voices", "kinds", "models", "seeds"])
def test_the_page_does_without_what_is_missing(tmp_path: Path, missing: str) -> None:
    data = fixture.summary()
    data.pop(missing, None)
    if missing == "models":
        data = {"recipe": "empty", "models": {}}
    for model in data["models"].values():
        for entry in model.values():
            entry.pop(missing, None)
            if entry["views"].pop(missing, None):
                entry["gap"] = None
    items = 0 if missing == "models" else 1
    headings = Page(build(tmp_path, data, items)).text("h2")
    gone = {"image_speech": "typed and spoken", "ablation": "Ablation", "voices": "voice", "kinds": "kind"}
    assert "Provenance" in headings
    if missing in gone and missing != "image_speech":
        assert gone[missing] not in headings
    if missing == "models":
        assert "Items" not in headings


def test_a_run_with_one_model_and_typed_questions_only_is_reported(tmp_path: Path) -> None:
    views = {"image_text": {"score": 96.1, "ci95": [95, 97]}}
    data = {"recipe": "micro_base", "seed": 0, "models": {"base": {"mme": {"n": 10, "views": views, "gap": None}}}}
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps(data))
    page = Page(build_report(folder, [], tmp_path / "report.html").read_text())
    assert "Typed view: base 96.1." in page.visible
    assert "Gap" not in page.visible
    assert not page.all("script")


def test_the_date_is_when_the_last_attempt_was_started(tmp_path: Path) -> None:
    folder = fixture.write_run(tmp_path / "run")
    summary = read_summary(folder / "summary.json")
    assert read_origin(folder, summary).date == ""
    started = ["2025-03-01T12:00:00+00:00", "2025-03-02T14:30:59+02:00"]
    (folder / "run.json").write_text(json.dumps({"attempts": [{"started": time} for time in started]}))
    assert read_origin(folder, summary).date == "2025-03-02 12:30 UTC"


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    folder = fixture.write_run(tmp_path / "run")
    shown = fixture.shown_items(tmp_path / "media", 2)
    pages = [build_report(folder, shown, tmp_path / name).read_bytes() for name in ("a.html", "b.html")]
    assert pages[0] == pages[1]


def test_sixty_items_stay_below_twelve_megabytes(tmp_path: Path) -> None:
    assert len(build(tmp_path, items=60)) < 12e6


def test_kinds_show_the_typed_score_once_when_all_models_share_it() -> None:
    data = fixture.summary()
    columns = ("typed", "aligned", "sft", "self_kd", "self_kd_layers")
    table = kind_breakdown(parse_summary(json.dumps(data)), "all")
    assert table
    assert table.columns == columns
    assert table.rows[1] == ("count", 200, pytest.approx((97.0, 21.6, 77.6, 78.2, 89.6)))
    data["models"]["sft"]["all"]["kinds"]["count"]["image_text"] = 12.5
    table = kind_breakdown(parse_summary(json.dumps(data)), "all")
    assert table
    assert table.columns[:2] == ("aligned · typed", "sft · typed")


def test_text_has_contrast_of_at_least_4_5_in_both_modes() -> None:
    style = (Path(fixture.__file__).parents[1] / "src/earwise/report/style.css").read_text()
    light, dark = (dict(re.findall(r"--(\w+): (#\w{6});", block)) for block in style.split("prefers-color-scheme")[:2])
    for colours in (light, {**light, **dark}):
        for name in ("ink", "muted", "typed", "spoken", "right", "wrong", "unsure", "link"):
            for ground in ("paper", "raised"):
                lighter, darker = sorted((luminance(colours[name]), luminance(colours[ground])), reverse=True)
                assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (name, ground)


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` as WCAG 2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# Console and input


def test_the_console_table_fits_80_columns() -> None:
    with (console := Console(width=80)).capture() as capture:
        console.print(console_table(fixture.summary()))
    rows = [" ".join(line.split()) for line in capture.get().splitlines()]
    assert rows[-1] == "Self-KD + layers 86.6 71.3 44.0 8.4 [7.0, 10.0] 91.2 %".replace("86.6", "95.0 86.6")
    assert "…" not in capture.get()


@pytest.mark.parametrize("width", [80, 50, 30])
def test_nothing_of_the_results_is_cut_on_a_narrow_console(width: int) -> None:
    data = fixture.summary()
    for cells in data["models"].values():
        for cell in cells.values():
            cell["views"] |= {view: {"score": 12.3} for view in ("image_spoken_form", "image_transcript", "text_only")}
            if cell.get("gap"):
                cell["gap"]["ci95"] = [-17.5, 30.25]
    with (console := Console(width=1000)).capture() as whole:
        console.print(console_table(data))
    with (console := Console(width=width)).capture() as capture:
        tables = console_tables(data, width)
        console.print(*tables, sep="\n")
    assert "\N{HORIZONTAL ELLIPSIS}" not in capture.get()
    assert all(len(line) <= width for line in capture.get().splitlines())
    assert len(tables) > 1
    words = Counter(re.sub("\N{BOX DRAWINGS LIGHT HORIZONTAL}+", "", capture.get()).split())
    expected = Counter(re.sub("\N{BOX DRAWINGS LIGHT HORIZONTAL}+", "", whole.get()).split())
    assert set(words) == set(expected)
    assert all(words[number] == expected[number] for number in expected if re.fullmatch(r"\d+\.\d", number))


def test_the_console_table_prints_names_as_they_are() -> None:
    data = fixture.summary()
    data["models"] = {"[red]x[/]": data["models"]["sft"]}
    with (console := Console(width=120)).capture() as capture:
        console.print(console_table(data))
    assert "[red]x[/]" in capture.get()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "summary.json: no summary"),
        ("{", "summary.json: not a summary: Invalid JSON"),
        ('{"recipe": "x", "models": {"m": {"b": {"n": "3", "views": {}}}}}', "models.m.b.n: .*valid integer"),
        ('{"recipe": "x", "models": {"m": {"b": {"n": 3, "views": {"v": {"score": NaN}}}}}}', r"v\.score: .*finite"),
        (
            '{"recipe": "x", "models": {"m": {"b": {"n": 3, "views": {"v": {"score": 3, "invalid_rate": 12}}}}}}',
            r"v\.invalid_rate: .*less than or equal to 1",
        ),
    ],
)
def test_a_wrong_summary_is_one_line_with_file_and_key(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "summary.json").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_summary(tmp_path / "summary.json")
    assert "\n" not in str(caught.value)


def test_importing_the_report_does_not_import_torch() -> None:
    code = "import sys, earwise.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
