"""No key, password or token reaches a record or a message."""

import pytest
from example_recipe import TEXT
from typer.testing import CliRunner

from earwise.cli import app
from earwise.errors import InputError
from earwise.recipe.read import load_recipe

SECRET = "tok3n-of-ann"
ENGINE = 'engine = { type = "espeak" }'
SERVERS = {
    "speech.engine": (ENGINE, 'engine = { type = "openai", model = "tts", %s }'),
    "traces.teacher": (
        "[report]",
        '[traces]\nteacher = { type = "server", model = "vlm", %s }\n[report]',
    ),
    "train.sft.terms.0.teacher": (
        'terms = [{ type = "sft", weight = 1.0 }]',
        'terms = [{ type = "logits", weight = 1.0, view = "description_text", '
        'teacher = { type = "server", model = "llm", %s } }]',
    ),
}
ADDRESSES = [
    f"https://ann:{SECRET}@host/v1",
    f"https://{SECRET}@host/v1",
    f"https://host/v1?api_key={SECRET}",
    f"https://host/v1#{SECRET}",
    f"ftp://ann:{SECRET}@host/v1",
    f"https://ann:{SECRET}@[host/v1",
    f"ann:{SECRET}@host/v1",
]


@pytest.mark.parametrize("at", SERVERS)
@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_carries_a_key_is_refused_and_not_shown(at, address, tmp_path):
    old, new = SERVERS[at]
    assert old in TEXT
    (tmp_path / "quick.toml").write_text(TEXT.replace(old, new % f'base_url = "{address}"', 1))
    with pytest.raises(InputError, match=rf"{at}\.base_url: ") as refused:
        load_recipe(tmp_path / "quick.toml")
    assert SECRET not in str(refused.value)
    assert "host/v1" not in str(refused.value)


@pytest.mark.parametrize("at", SERVERS)
@pytest.mark.parametrize("key", [f"sk-{SECRET}", "gsk_abcdefgh1234", "AIzaSyB1234567", "Bearer X", "", "A" * 65])
def test_a_key_in_place_of_its_variable_is_refused_and_not_shown(at, key, tmp_path):
    old, new = SERVERS[at]
    server = f'base_url = "http://host/v1", api_key_env = "{key}"'
    (tmp_path / "quick.toml").write_text(TEXT.replace(old, new % server, 1))
    with pytest.raises(InputError, match=rf"{at}\.api_key_env: is not the name of an environment var") as refused:
        load_recipe(tmp_path / "quick.toml")
    assert not key or key not in str(refused.value)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000/v1", "https://host/v1/", "http://[::1]:80/v1"])
def test_a_plain_address_and_the_name_of_a_variable_are_taken(address, tmp_path):
    old, new = SERVERS["speech.engine"]
    server = f'base_url = "{address}", api_key_env = "SPEECH_KEY_2"'
    (tmp_path / "quick.toml").write_text(TEXT.replace(old, new % server, 1))
    recipe = load_recipe(tmp_path / "quick.toml")
    assert recipe.speech is not None
    assert recipe.speech.engine.base_url == address


def test_an_override_with_a_key_is_neither_shown_nor_recorded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old, new = SERVERS["speech.engine"]
    (tmp_path / "quick.toml").write_text(TEXT.replace(old, new % 'base_url = "http://host/v1"', 1))
    for value in (f"http://ann:{SECRET}@host", f'"http://ann:{SECRET}@host'):
        result = CliRunner().invoke(app, ["run", "quick.toml", f"speech.engine.base_url={value}"])
        assert result.exit_code == 2
        assert SECRET not in result.output
        assert not (tmp_path / "runs").exists()
