from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from edgewatch.config.cameras import CameraSettings
from edgewatch.config.errors import ConfigError
from edgewatch.config.problems import allowed
from edgewatch.config.sections import host_id
from edgewatch.config.settings import SECTIONS, Settings, load_settings

EXAMPLE = Path(__file__).parents[2] / "config" / "edgewatch.toml"

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"

CAMERA = '[[cameras]]\nname = "front"\nurl = "rtsp://viewer@10.0.0.9/1"\n'

Loader = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Loader:
    """Write a file and load it, with an environment of the test's own."""

    def load_text(
        toml: str = "", environ: Mapping[str, str] | None = None, **rest: Any
    ) -> Settings:
        file = tmp_path / "edgewatch.toml"
        file.write_text(toml)
        return load_settings(file, environ or {}, **rest)

    return load_text


@pytest.fixture
def refused(load: Loader) -> Callable[..., str]:
    """Load settings that must be refused, and return what the person is told."""

    def refuse(toml: str = "", environ: Mapping[str, str] | None = None, **rest: Any) -> str:
        with pytest.raises(ConfigError) as error:
            load(toml, environ, **rest)
        return str(error.value)

    return refuse


class TestDefaults:
    def test_without_any_file_the_built_in_defaults_hold(self, tmp_path: Path) -> None:
        settings = load_settings(None, {}, default_files=[tmp_path / "absent.toml"])
        assert settings == Settings()
        assert settings.source is None
        assert settings.service.id == host_id()
        assert settings.mqtt.embedded
        assert settings.mqtt.effective_port == 1883
        assert settings.plans() == ()

    def test_the_first_default_file_that_exists_is_read(self, tmp_path: Path) -> None:
        second, third = tmp_path / "second.toml", tmp_path / "third.toml"
        second.write_text("[web]\nport = 2\n")
        third.write_text("[web]\nport = 3\n")
        files = [tmp_path / "absent.toml", second, third]
        settings = load_settings(None, {}, default_files=files)
        assert (settings.web.port, settings.source) == (2, second)

    def test_the_environment_may_name_the_file(self, tmp_path: Path) -> None:
        file = tmp_path / "named.toml"
        file.write_text("[web]\nport = 2\n")
        assert load_settings(None, {"EDGEWATCH_CONFIG": str(file)}).source == file

    def test_tls_changes_the_default_port(self, load: Loader) -> None:
        assert load('[mqtt]\nhost = "b"\ntls = true').mqtt.effective_port == 8883
        assert load('[mqtt]\nhost = "b"\ntls = true\nport = 1').mqtt.effective_port == 1


class TestPrecedence:
    def test_arguments_win_over_environment_over_file(self, load: Loader) -> None:
        toml = "[events]\nopen_after = 1\nopen_within = 10\n[clips]\nfps = 1.0\n"
        environ = {"EDGEWATCH_EVENTS__OPEN_AFTER": "2", "EDGEWATCH_CLIPS__FPS": "2"}
        settings = load(toml, environ, overrides={"clips": {"fps": 3.0}})
        assert settings.events.open_within == 10
        assert settings.events.open_after == 2
        assert settings.clips.fps == 3.0

    def test_every_key_can_be_set_by_environment(self, tmp_path: Path) -> None:
        file = _full_example(tmp_path)
        shown = tomllib.loads(file.read_text())
        (camera,) = shown.pop("cameras")
        shown["cameras__front"] = camera
        environ = {
            f"EDGEWATCH_{section}__{key}".upper(): _as_variable(key, value, tmp_path)
            for section, table in shown.items()
            for key, value in table.items()
        }
        environ["EDGEWATCH_CAMERAS"] = '[{"name": "front", "url": "/dev/video0"}]'
        settings = load_settings(None, environ, default_files=[])
        assert settings.model_dump() == load_settings(file, {}).model_dump()
        assert settings.plans() == load_settings(file, {}).plans()

    def test_numbers_truth_and_lists_are_read_from_text(self, load: Loader) -> None:
        environ = {
            "EDGEWATCH_MQTT__HOMEASSISTANT_DISCOVERY": "no",
            "EDGEWATCH_EVIDENCE__MAX_BYTES": "30_000_000",
            "EDGEWATCH_CAMERAS": '[{"name": "a", "url": "/dev/video0"}]',
            "EDGEWATCH_CAMERAS__A__SCHEDULE": '["Mon 08:00-09:00"]',
            "EDGEWATCH_LOG": "debug",
        }
        settings = load("", environ)
        assert settings.mqtt.homeassistant_discovery is False
        assert settings.evidence.max_bytes == 30_000_000
        assert settings.cameras[0].schedule == ("Mon 08:00-09:00",)

    def test_a_camera_is_named_in_the_environment_by_its_name(self, load: Loader) -> None:
        toml = CAMERA + CAMERA.replace("front", "back-door")
        settings = load(toml, {"EDGEWATCH_CAMERAS__BACK_DOOR__THRESHOLD": "0.9"})
        assert [plan.threshold for plan in settings.plans()] == [0.5, 0.9]

    def test_an_empty_variable_unsets_an_optional_key(self, load: Loader) -> None:
        assert load('[mqtt]\nhost = "b"', {"EDGEWATCH_MQTT__HOST": ""}).mqtt.embedded

    def test_relative_paths_are_relative_to_the_file(self, load: Loader, tmp_path: Path) -> None:
        settings = load(
            '[service]\ndata_dir = "data"\n[[cameras]]\nname = "a"\nurl = "videos/a.mp4"\n'
        )
        assert settings.service.data_dir == tmp_path / "data"
        assert settings.plans()[0].url == str(tmp_path / "videos/a.mp4")


class TestPlans:
    def test_a_camera_takes_what_it_does_not_set_from_the_sections(self, load: Loader) -> None:
        toml = (
            "[engine]\nthreshold = 0.4\n[clips]\nseconds = 6.0\n[events]\ncooldown_seconds = 1\n"
            + CAMERA
            + 'stride_seconds = 1.5\nopen_after = 1\nprompt = "Smoke."\nloop = false\n'
        )
        (plan,) = load(toml).plans()
        assert (plan.clips.seconds, plan.clips.stride_seconds) == (6.0, 1.5)
        assert (plan.events.open_after, plan.events.cooldown_seconds) == (1, 1.0)
        assert (plan.threshold, plan.prompt) == (0.4, "Smoke.")

    def test_every_key_of_clips_and_events_can_be_overridden(self) -> None:
        keys = CameraSettings.model_fields.keys()
        assert SECTIONS["clips"].model_fields.keys() <= keys
        assert SECTIONS["events"].model_fields.keys() <= keys
        assert {"threshold", "scene", "prompt"} <= keys

    def test_overridden_keys_must_agree_with_those_of_the_section(
        self, refused: Callable[..., str]
    ) -> None:
        text = refused(CAMERA + "seconds = 2.0\nopen_after = 4\n")
        assert '[[cameras]] #1 "front" stride_seconds: 2.5 s is longer than a clip (2 s)' in text
        assert '[[cameras]] #1 "front" open_after: 4 anomalous clips among 3 can never be' in text

    def test_a_recording_is_judged_as_a_camera_or_by_the_sections_alone(self, load: Loader) -> None:
        settings = load("[engine]\nthreshold = 0.4\n" + CAMERA + "threshold = 0.7\n")
        assert settings.plan_for("front") == settings.plans()[0]
        assert settings.plan_for(None).threshold == 0.4
        with pytest.raises(ConfigError, match="no camera is named 'frnt'; configured are: front"):
            settings.plan_for("frnt")


class TestSecrets:
    def test_a_secret_is_read_from_its_file_without_the_newline(
        self, load: Loader, tmp_path: Path
    ) -> None:
        for name in ("broker", "page", "camera"):
            _secret(tmp_path / name, f"password of {name}\n")
        settings = load(
            '[mqtt]\nhost = "b"\nusername = "u"\npassword_file = "broker"\n'
            '[web]\ntoken_file = "page"\n' + CAMERA + 'password_file = "camera"\n'
        )
        assert settings.mqtt_password == "password of broker"
        assert settings.web_token == "password of page"
        assert settings.plans()[0].password == "password of camera"
        assert settings.warnings == ()

    def test_a_systemd_credential_stands_in_for_a_file(self, load: Loader, tmp_path: Path) -> None:
        folder = tmp_path / "credentials"
        folder.mkdir()
        for name in ("mqtt.password", "front.password", "web.token"):
            _secret(folder / name, f"credential {name}")
        settings = load(
            '[mqtt]\nhost = "b"\nusername = "u"\n[web]\nhost = "0.0.0.0"\n' + CAMERA,
            {"CREDENTIALS_DIRECTORY": str(folder)},
        )
        assert settings.mqtt_password == "credential mqtt.password"
        assert settings.web_token == "credential web.token"
        assert settings.plans()[0].password == "credential front.password"

    def test_no_secret_shows_in_the_text_of_the_settings(
        self, load: Loader, tmp_path: Path
    ) -> None:
        _secret(tmp_path / "camera", "hunter2")
        settings = load(CAMERA + 'password_file = "camera"\n')
        assert settings.plans()[0].password == "hunter2"
        shown = f"{settings!r} {settings} {settings.plans()} {settings.model_dump_json()}"
        assert "hunter2" not in shown

    def test_a_secret_that_all_may_read_is_warned_of(self, load: Loader, tmp_path: Path) -> None:
        file = _secret(tmp_path / "camera", "x")
        file.chmod(0o644)
        (warning,) = load(CAMERA + 'password_file = "camera"\n').warnings
        assert (
            f'[[cameras]] #1 "front" password_file: every user of this machine can read {file}'
            in (warning)
        )
        assert f"chmod o= {file}" in warning

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (None, "does not exist"),
            (b"", "is empty"),
            (b" \n", "is empty"),
            (b"hunter2\nmore\n", "holds more than one line"),
            (b"\xff\xfe", "is not UTF-8 text"),
            (b"hunter2" * 1000, "holds more than one line"),
        ],
    )
    def test_a_file_without_a_secret_is_refused_and_not_repeated(
        self, refused: Callable[..., str], tmp_path: Path, content: bytes | None, told: str
    ) -> None:
        if content is not None:
            (tmp_path / "camera").write_bytes(content)
        text = refused(CAMERA + 'password_file = "camera"\n')
        assert f'"front" password_file: {tmp_path / "camera"} {told}' in text
        assert "hunter2" not in text

    def test_a_folder_is_no_secret(self, refused: Callable[..., str], tmp_path: Path) -> None:
        assert "is no file" in refused(CAMERA + f'password_file = "{tmp_path}"\n')

    @pytest.mark.parametrize(
        "url",
        [
            "rtsp://viewer:hunter2@10.0.0.9/1",
            "rtsp://viewer:hunter2@[10.0.0.9/1",
            "rtsp://viewer:hunter2/x@10.0.0.9/1",
            "RTSPS://:hunter2@10.0.0.9:99999/1",
            "ftp://viewer:hunter2@10.0.0.9/1",
        ],
    )
    def test_a_password_in_an_address_is_refused_and_not_repeated(
        self, refused: Callable[..., str], url: str
    ) -> None:
        text = refused(f'[[cameras]]\nname = "front"\nurl = "{url}"\n')
        assert '[[cameras]] #1 "front" url' in text
        assert "hunter2" not in text

    def test_inline_secrets_are_refused_and_not_repeated(self, refused: Callable[..., str]) -> None:
        text = refused('[mqtt]\npassword = "hunter2"\n[web]\ntoken = "hunter2"\n')
        assert "set password_file" in text
        assert "set token_file" in text
        assert "hunter2" not in text

    def test_no_text_in_the_place_of_a_number_is_repeated(self) -> None:
        for section, model in SECTIONS.items():
            for key, field in model.model_fields.items():
                if field.annotation in (int, float, bool):
                    with pytest.raises(ConfigError) as error:
                        load_settings(None, {}, {section: {key: "hunter2"}}, default_files=[])
                    assert "hunter2" not in str(error.value)


class TestRefusals:
    def test_all_problems_are_listed_at_once_each_with_place_key_and_cure(
        self, refused: Callable[..., str], tmp_path: Path
    ) -> None:
        text = refused(
            "[mqtt]\nprot = 1\n[clips]\nfps = 0\n" + CAMERA + 'strid_seconds = 1\nloop = "x"\n',
            {"EDGEWATCH_WEB__PORT": "70000"},
        )
        file = tmp_path / "edgewatch.toml"
        assert text.splitlines() == [
            "the settings have 5 problems:",
            f'  {file}: [mqtt] prot: unknown key. Did you mean "port"?',
            f"  {file}: [clips] fps: cannot be 0. It must be a number above 0, at most 30.",
            "  EDGEWATCH_WEB__PORT: [web] port: cannot be 70000. "
            "It must be a whole number from 0 to 65535.",
            f'  {file}: [[cameras]] #1 "front" loop: cannot be this text. '
            "It must be true or false.",
            f'  {file}: [[cameras]] #1 "front" strid_seconds: unknown key. '
            'Did you mean "stride_seconds"?',
        ]

    @pytest.mark.parametrize(
        ("toml", "told"),
        [
            ("[mqqt]\nport = 1\n", '[mqqt]: unknown section. Did you mean "mqtt"?'),
            ("port = 1\n", "port: unknown key outside of all sections. Known here: cameras"),
            ("mqtt = 1\n", "[mqtt]: is no section"),
            ('[cameras]\nname = "a"\n', "cameras: is no list. Write [[cameras]]"),
            ("cameras = [1]\n", "[[cameras]] #1: is no table"),
            ('[[cameras]]\nname = "a"\n', '[[cameras]] #1 "a" url: is missing'),
            (CAMERA + CAMERA, '#2 "front" name: camera #1 has the same name'),
            (CAMERA.replace("front", "Front Door"), "must be 1 to 64 of a-z"),
            (CAMERA.replace("front", "drill"), '"drill" is a name that edgewatch uses itself'),
            (CAMERA.replace("rtsp://viewer@10.0.0.9", "rtmp://h"), 'starts with "rtmp://"'),
            (CAMERA.replace("viewer@10.0.0.9", ""), "names no host"),
            (CAMERA + "loop = true\n", "loop: is for recordings"),
            (CAMERA.replace("viewer@", "") + 'password_file = "x"\n', "the url names no user"),
            (CAMERA + 'ca_file = "x"\n', "ca_file: is set, but the address is not encrypted"),
            (CAMERA.replace("p:", "ps:") + 'ca_file = "x"\n', "ca_file: "),
            (CAMERA + 'schedule = ["Mon-Fry 08:00-18:00"]\n', 'schedule: "mon-fry" is no day'),
            (CAMERA + 'schedule = "always"\n', "It must be a list of texts"),
            (CAMERA + 'rtsp_transport = "tpc"\n', 'It must be one of "tcp", "udp"'),
            ('[engine]\nkind = "native"\n', "[engine] model: is missing"),
            (
                '[engine]\nkind = "tensorrt"\n',
                "[engine] model: is missing",
            ),
            ('[engine]\nkind = "remote"\n', "[engine] url: is missing"),
            ('[engine]\nanswers = ["Yes", "yes"]\n', "are the same word twice"),
            ("[engine]\ngpus = [1, 1]\n", "names a GPU twice"),
            ('[engine]\nprompt = "a<|im_end|>b"\n', "control models"),
            ('[engine]\nmore_urls = ["http://u:p@h/v1"]\n', "holds a user or password"),
            ('[engine]\nkind = "other"\n', 'It must be one of "builtin", "transformers"'),
            ('[engine]\nurl = "http://u:hunter2@h/"\n', "holds a user or password"),
            ("[engine]\nthreshold = 1.5\n", "It must be a number above 0, at most 1."),
            ("[clips]\nstride_seconds = 9.0\n", "is longer than a clip"),
            ("[clips]\nfps = 0.5\n", "fewer than 4 frames"),
            ("[clips]\nseconds = nan\n", "seconds: cannot be nan"),
            ("[events]\nopen_after = 4\n", "4 anomalous clips among 3 can never be"),
            ("[events]\nopen_after = 1.5\n", "It must be a whole number from 1 to 100"),
            ("[events]\nopen_after = true\n", "open_after: cannot be true"),
            ('[web]\nhost = "0.0.0.0"\n', "there is no token"),
            ('[mqtt]\nhost = "mqtt://b"\n', "must be a host name or address alone"),
            ('[mqtt]\nbase_topic = "a/#"\n', "is no topic that can be published to"),
            ("[mqtt]\ntls = true\n", "the embedded broker has no TLS"),
            ('[mqtt]\nusername = "u"\n', "the embedded broker asks for no user"),
            ('[mqtt]\nhost = "b"\nca_file = "x"\n', "ca_file: is set, but tls is off"),
            ('[mqtt]\nhost = "b"\ntls = true\ncert_file = "x"\n', "key_file: is missing"),
            ('[mqtt]\nhost = "b"\npassword_file = "x"\n', "is set without username"),
            ('[mqtt]\nhost = "b"\ntls = true\nca_file = "x"\n', "ca_file: "),
            ('[service]\nid = "a/b"\n', "[service] id: must be 1 to 64 of"),
            ("[service]\ndrain_seconds = 30.0\n", "It must be a number above 0, at most 8"),
        ],
    )
    def test_what_is_wrong_is_told(
        self, refused: Callable[..., str], tmp_path: Path, toml: str, told: str
    ) -> None:
        text = refused(toml)
        assert told in text
        assert text.startswith(f"the settings have a problem:\n  {tmp_path}/edgewatch.toml: ")
        assert "hunter2" not in text

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("EDGEWATCH_MQTT__PROT", 'Did you mean "EDGEWATCH_MQTT__PORT"?'),
            ("EDGEWATCH_MQTT_PORT", 'Did you mean "EDGEWATCH_MQTT__PORT"?'),
            ("EDGEWATCH_LOGS", 'Did you mean "EDGEWATCH_LOG"?'),
            ("EDGEWATCH_CAMERAS__FRONT__FSP", 'Did you mean "EDGEWATCH_CAMERAS__FRONT__FPS"?'),
            ("EDGEWATCH_CAMERAS__BACK__FPS", 'there is no camera "back"'),
        ],
    )
    def test_a_variable_that_means_nothing_is_refused(
        self, refused: Callable[..., str], name: str, told: str
    ) -> None:
        text = refused(CAMERA, {name: "hunter2"})
        assert f"  {name}: " in text
        assert told in text
        assert "hunter2" not in text

    def test_a_file_asked_for_must_exist(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"absent\.toml: does not exist\. Correct the path"):
            load_settings(tmp_path / "absent.toml", {})

    def test_a_folder_is_no_settings_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read"):
            load_settings(tmp_path, {})

    def test_toml_that_cannot_be_read_is_told_with_its_line(
        self, refused: Callable[..., str]
    ) -> None:
        assert re.search(r"is not valid TOML: .*line 2, column 8", refused("[web]\nport = \n"))

    def test_text_that_is_not_utf_8_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "latin.toml"
        file.write_bytes(b'[service]\nid = "B\xfcro"\n')
        with pytest.raises(ConfigError, match="is not UTF-8 text"):
            load_settings(file, {})


class TestWarnings:
    def test_more_frames_than_engines_are_made_for_is_warned_of(self, load: Loader) -> None:
        (warning,) = load(CAMERA + "fps = 8.0\n").warnings
        assert 'camera "front" fps: 8 is above 4' in warning


class TestExample:
    def test_the_example_is_loaded_and_changes_nothing(self) -> None:
        settings = load_settings(EXAMPLE, {})
        assert settings.source == EXAMPLE
        assert settings.model_dump() == Settings().model_dump()

    def test_every_key_of_every_section_stands_in_the_example(self) -> None:
        shown = tomllib.loads(_uncommented(EXAMPLE.read_text()))
        assert {name: set(shown[name]) for name in SECTIONS} == {
            name: set(section.model_fields) for name, section in SECTIONS.items()
        }
        assert set(shown["cameras"][0]) == set(CameraSettings.model_fields)

    def test_what_the_example_calls_a_default_is_the_default(self) -> None:
        text = EXAMPLE.read_text()
        sections, cameras = text.split("# One table for each camera")
        shown = tomllib.loads(_uncommented(sections, without_examples=True))
        defaults = Settings().model_dump(mode="json")
        for name, table in shown.items():
            assert table == {key: defaults[name][key] for key in table}, name
        base = "#" + cameras.split("# Any key of")[0]
        (camera,) = tomllib.loads(_uncommented(base, without_examples=True))["cameras"]
        for key in camera.keys() - {"name", "url"}:
            assert camera[key] == CameraSettings.model_fields[key].default, key

    def test_the_example_with_all_its_keys_set_is_accepted(self, tmp_path: Path) -> None:
        (plan,) = load_settings(_full_example(tmp_path), {}).plans()
        assert plan.clips.fps == 2.0
        assert plan.password == "x"


class TestDocument:
    def test_every_key_is_documented_with_its_bounds(self) -> None:
        text = DOCUMENT.read_text()
        for name, section in SECTIONS.items():
            part = text.partition(f"## [{name}]\n")[2].partition("\n## ")[0]
            for key, field in section.model_fields.items():
                assert re.search(
                    rf"^\| `{key}` \|.*\| {re.escape(allowed(field))} \|", part, re.MULTILINE
                ), key

    def test_every_key_of_a_camera_alone_is_documented(self) -> None:
        part = DOCUMENT.read_text().partition("## [[cameras]]\n")[2]
        shared = {key for name in ("clips", "events") for key in SECTIONS[name].model_fields}
        for key in CameraSettings.model_fields.keys() - shared - {"threshold", "scene", "prompt"}:
            assert f"\n| `{key}` |" in part, key


def _full_example(folder: Path) -> Path:
    """Write the example with every key in force, and the files that it names."""
    for name in ("ca.pem", "client.pem", "client.key", "cameras.pem", "engine-ca.pem"):
        _secret(folder / name, "x")
    for name in ("mqtt.password", "engine.token", "front.password", "notify-ca.pem"):
        _secret(folder / name, "x")
    for name in ("webhook.secret", "ntfy.token"):
        _secret(folder / name, "x")
    _secret(folder / "webhook.url", "https://box.example.org/hooks/x")
    _secret(folder / "ntfy.url", "https://ntfy.example.org/x")
    _secret(folder / "web.token", "a token of the page")
    file = folder / "full.toml"
    text = _uncommented(EXAMPLE.read_text())
    file.write_text(text.replace("tls = false", "tls = true").replace("rtsp://", "rtsps://"))
    return file


def _as_variable(key: str, value: object, folder: Path) -> str:
    if key.endswith("_file"):
        return str(folder / str(value))
    return value if isinstance(value, str) else json.dumps(value)


def _uncommented(text: str, *, without_examples: bool = False) -> str:
    """Put the example's commented keys into force."""
    lines = [line for line in text.splitlines() if not (without_examples and "# example" in line)]
    return "\n".join(re.sub(r"^# (\[\[|[a-z_]+ = )", r"\1", line) for line in lines)


def _secret(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path
