"""The page of `earwise talk` in a real browser, whose microphone plays a question of the run."""

from pathlib import Path

import numpy as np
import pytest
from browser import BROWSER, Page, browser
from finished_run import predictions
from serving import Served, needs_server, served
from test_ask import questions

from earwise.data.media import load_audio, save_wav

pytestmark = [needs_server, pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")]


@pytest.fixture(scope="module")
def server(small_run: Path, tmp_path_factory: pytest.TempPathFactory):
    with served(tmp_path_factory.mktemp("talk"), "talk", f"{small_run}:aligned", "--no-browser") as server:
        yield server


@pytest.fixture(scope="module")
def question(small_run: Path):
    item, question = next(iter(questions(small_run, "textvqa").items()))
    return question, predictions(small_run, "base", "textvqa")[item, "image_text"]["text"]


@pytest.fixture(scope="module")
def page(server: Served, question, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("browser")
    silence = np.zeros(4_800, dtype=np.float32)
    save_wav(folder / "said.wav", np.concatenate([silence, load_audio(question[0].speech), silence]))
    with browser(folder / "profile", microphone=folder / "said.wav") as page:
        page.open(server.address)
        page.wait("document.getElementById('model').textContent.endsWith(':aligned')")
        yield page


def text_of(page: Page, name: str) -> str:
    return str(page.value(f"document.getElementById('{name}').textContent"))


def test_a_typed_question_about_a_picture_is_answered(page: Page, question) -> None:
    asked, told = question
    page.choose("#file", asked.images[0])
    page.wait("!document.getElementById('picture').hidden")
    page.value(f"document.getElementById('text').value = {asked.text!r}")
    page.value("document.getElementById('form').requestSubmit()")
    page.wait("document.getElementById('status').textContent === 'Answered.'")
    assert text_of(page, "typed") == told


def test_a_spoken_question_is_heard_and_answered_beside_the_typed_one(page: Page, question) -> None:
    """By keyboard alone: the space key is held while the microphone plays."""
    page.value("document.getElementById('speak').focus()")
    page.key("keyDown", " ", "Space")
    page.wait("document.getElementById('status').textContent === 'Listening.'")
    assert page.value("document.getElementById('speak').getAttribute('aria-pressed')") == "true"
    seconds = len(load_audio(question[0].speech)) / 16_000
    page.value(f"new Promise((done) => setTimeout(done, {round(1000 * seconds) + 600}))")
    page.key("keyUp", " ", "Space")
    page.wait("document.getElementById('status').textContent === 'Answered.'")
    assert text_of(page, "typed") == question[1]
    assert text_of(page, "spoken")
    assert text_of(page, "heard")
    assert page.console == []


def test_what_goes_wrong_is_said_on_the_page(page: Page, server: Served) -> None:
    page.value("document.getElementById('speak').focus()")
    page.key("keyDown", " ", "Space")
    page.key("keyUp", " ", "Space")
    page.wait("document.getElementById('status').textContent.startsWith('That was too short')")
    assert page.value("document.getElementById('speak').getAttribute('aria-pressed')") == "false"


def test_the_page_fits_a_phone_and_has_names_for_a_screen_reader(page: Page) -> None:
    page.call("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=True)
    assert page.value("document.documentElement.scrollWidth") <= 390
    page.call("Emulation.clearDeviceMetricsOverride")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    controls = [
        node for node in nodes if node.get("role", {}).get("value") in ("button", "textbox", "status", "heading")
    ]
    assert len(controls) > 6
    names = {node["name"]["value"] for node in controls if node["role"]["value"] != "status"}
    assert "" not in names
    assert {"Hold to speak", "The question as text", "Ask by text"} <= names


def test_dark_mode_changes_the_colours(page: Page) -> None:
    def background(scheme: str) -> str:
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        return str(page.value("getComputedStyle(document.querySelector('dt')).color"))

    assert background("dark") != background("light")


def test_the_page_may_load_nothing_from_elsewhere(server: Served) -> None:
    status, page = server.get("/")
    assert status == 200
    assert "http" not in page.replace("http-equiv", "")
    refused = server.request("GET", "/talk.html", None, {})
    assert refused[0] == 404
