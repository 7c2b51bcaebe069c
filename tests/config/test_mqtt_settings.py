"""The keys of `[mqtt]` that decide how people and Home Assistant are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import load_settings
from edgewatch.pipeline.mqtt_setup import home_assistant, reminder, wanted_version


def load(folder: Path, toml: str) -> str | None:
    """Return what the person is told of settings that are refused; None if they are taken."""
    file = folder / "edgewatch.toml"
    file.write_text(toml)
    try:
        load_settings(file, {})
    except ConfigError as error:
        return str(error)
    return None


def test_defaults_announce_to_home_assistant_without_pictures(tmp_path: Path) -> None:
    settings = load_settings(None, {}, default_files=[tmp_path / "absent.toml"])
    home = home_assistant(settings)
    assert home is not None
    assert (home.prefix, home.thumbnails, home.page_url) == ("homeassistant", False, None)
    told = reminder(home)
    assert told is not None
    assert (told.topic, told.below) == ("homeassistant/status", "homeassistant/device/")
    assert wanted_version(settings) == "3.1.1", "the embedded broker knows no other"


def test_other_prefix_pictures_page_and_version(tmp_path: Path) -> None:
    (tmp_path / "edgewatch.toml").write_text(
        '[mqtt]\nhost = "broker"\nprotocol = "5"\nhomeassistant_prefix = "ha"\n'
        'thumbnails = true\n[web]\npublic_url = "https://box.example.org"\n'
        f'token_file = "{tmp_path}/web.token"\n'
    )
    (tmp_path / "web.token").write_text("x" * 32)
    (tmp_path / "web.token").chmod(0o600)
    settings = load_settings(tmp_path / "edgewatch.toml", {})
    home = home_assistant(settings)
    assert home is not None
    assert (home.birth_topic, home.thumbnails) == ("ha/status", True)
    assert home.page_url == "https://box.example.org"
    assert wanted_version(settings) == "5"


def test_discovery_can_be_switched_off(tmp_path: Path) -> None:
    (tmp_path / "edgewatch.toml").write_text("[mqtt]\nhomeassistant_discovery = false\n")
    settings = load_settings(tmp_path / "edgewatch.toml", {})
    assert home_assistant(settings) is None
    assert reminder(None) is None


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ('protocol = "5"', "the embedded broker speaks MQTT 3.1.1 alone"),
        ('host = "b"\nprotocol = "4"', "protocol"),
        ('homeassistant_prefix = ""', "homeassistant_prefix"),
        ('homeassistant_prefix = "ha/#"', "homeassistant_prefix"),
        ('homeassistant_prefix = "$SYS"', "homeassistant_prefix"),
        ('thumbnails = "yes"', "thumbnails"),
    ],
)
def test_wrong_values_are_told(tmp_path: Path, toml: str, told: str) -> None:
    assert told in str(load(tmp_path, f"[mqtt]\n{toml}\n"))
