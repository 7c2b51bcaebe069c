"""Engines as they are named on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import Settings, load_settings
from edgewatch.tools.evaluation.choice import read_choice, read_choices


def settings(**engine: Any) -> Settings:
    return load_settings(environ={}, overrides={"engine": engine}, default_files=())


def chosen(text: str, base: Settings) -> dict[str, Any]:
    return read_choice(text, base).settings.engine.model_dump(exclude_defaults=True)


def test_engine_of_no_model_takes_what_holds_for_any_from_the_settings() -> None:
    base = settings(kind="remote", url="http://h/v1", served_model="m", prompt="A cat.")
    assert chosen("builtin,threshold=0.25", base) == {"prompt": "A cat.", "threshold": 0.25}
    other = "remote:http://z:1/v1?a=b"
    assert chosen(other, base) == {
        "kind": "remote",
        "url": "http://z:1/v1?a=b",
        "prompt": "A cat.",
    }
    assert chosen("remote:http://h/v1", base)["served_model"] == "m"


def test_name_and_keys_surround_the_engine() -> None:
    choice = read_choice("int8=transformers:/models/x,quantize=int8", settings())
    assert choice.name == "int8"
    assert choice.settings.engine.model == Path("/models/x")
    assert choice.settings.engine.quantize == "int8"


def test_values_are_written_as_in_toml_or_as_plain_text() -> None:
    engine = read_choice(
        'q=transformers:m,answers=["Ja", "Nein"],prompt=Is there smoke, or fire?', settings()
    ).settings.engine
    assert engine.answers == ("Ja", "Nein")
    assert engine.prompt == "Is there smoke, or fire?"
    assert engine.model == Path.cwd() / "m"


def test_token_goes_to_its_own_server_alone(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    (tmp_path / "token").chmod(0o600)
    base = settings(kind="remote", url="http://h/v1", token_file=str(tmp_path / "token"))
    assert read_choice("remote:http://h/v1,threshold=0.4", base).settings.engine_token == "s3cret"
    assert read_choice("remote:http://other/v1", base).settings.engine_token is None


def test_file_gives_its_engine_section_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text('[engine]\nthreshold = 0.3\nprompt = "Fire."\n[clips]\nseconds = 9.0\n')
    choice = read_choice(f"{file},threshold=0.6", settings(prompt="A cat."))
    assert (choice.settings.engine.threshold, choice.settings.engine.prompt) == (0.6, "Fire.")
    assert choice.settings.clips.seconds == 5.0


def test_without_any_the_engine_of_the_settings_is_meant() -> None:
    base = settings(threshold=0.2)
    (choice,) = read_choices([], base)
    assert (choice.name, choice.settings) == ("builtin", base)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("gpt", "names no engine; write builtin"),
        ("transformers:", "names no engine"),
        ("builtin,speed=3", r"\[engine\] has no key 'speed'"),
        ("builtin,max_batch=0", "max_batch: cannot be 0"),
        ("nowhere.toml", "does not exist"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_cure(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_choice(text, settings())


def test_equal_names_ask_for_others() -> None:
    with pytest.raises(ConfigError, match="'builtin' is there twice; give one a name"):
        read_choices(["builtin", "builtin"], settings())
    names = [one.name for one in read_choices(["a=builtin", "builtin"], settings())]
    assert names == ["a", "builtin"]
