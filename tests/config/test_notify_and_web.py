"""Settings of [notify] and [web]: addresses that are secrets, and a page that is not left open."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import Settings, load_settings

WEBHOOK = "https://box.example.org/hooks/hunter2?key=hunter2"


def load(folder: Path, toml: str) -> Settings:
    file = folder / "edgewatch.toml"
    file.write_text(toml)
    return load_settings(file, {})


def refused(folder: Path, toml: str) -> str:
    with pytest.raises(ConfigError) as error:
        load(folder, toml)
    assert "hunter2" not in str(error.value)
    return str(error.value)


def secret(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text + "\n")
    (folder / name).chmod(0o600)
    return name


class TestNotify:
    def test_nobody_is_notified_unless_asked_for(self) -> None:
        settings = Settings()
        assert (settings.webhook_url, settings.ntfy_url) == (None, None)

    def test_secrets_come_from_files(self, tmp_path: Path) -> None:
        secret(tmp_path, "url", WEBHOOK)
        secret(tmp_path, "key", "key of hunter2")
        secret(tmp_path, "token", "tk_hunter2")
        settings = load(
            tmp_path,
            '[notify]\nwebhook_url_file = "url"\nwebhook_secret_file = "key"\n'
            'ntfy_url = "https://ntfy.sh/hunter2"\nntfy_token_file = "token"\n',
        )
        assert settings.webhook_url == WEBHOOK
        assert settings.webhook_secret == "key of hunter2"
        assert settings.ntfy_url == "https://ntfy.sh/hunter2"
        assert settings.ntfy_token == "tk_hunter2"
        assert "hunter2" not in f"{settings!r} {settings}"

    def test_the_file_wins_over_the_address(self, tmp_path: Path) -> None:
        secret(tmp_path, "url", WEBHOOK)
        toml = '[notify]\nwebhook_url = "https://h/x"\nwebhook_url_file = "url"\n'
        assert load(tmp_path, toml).webhook_url == WEBHOOK

    @pytest.mark.parametrize(
        ("url", "told"),
        [
            ("ftp://h/hunter2", "must be an http:// or https:// address"),
            ("https://u:hunter2@h/x", "holds a user or password"),
            ("https://hunter2@h/x", "holds a user or password"),
            ("https:///hunter2", "names no host"),
            ("hunter2", "names no host"),
            ("https://h/hunter2#x", "holds what no address may"),
            ("https://h/hunter2 x", "holds what no address may"),
            ("https://h:99999/hunter2", "is no valid address"),
        ],
    )
    def test_what_is_no_address_is_refused_and_not_repeated(
        self, tmp_path: Path, url: str, told: str
    ) -> None:
        text = refused(tmp_path, f'[notify]\nwebhook_url = "{url}"\n')
        assert f"[notify] webhook_url: {told}" in text
        secret(tmp_path, "url", url)
        text = refused(tmp_path, '[notify]\nwebhook_url_file = "url"\n')
        assert "[notify] webhook_url_file: the address in it " + told in text

    @pytest.mark.parametrize(
        "url", ["https://ntfy.sh", "https://ntfy.sh/", "https://ntfy.sh/a b", "https://h/t/?x=1"]
    )
    def test_an_ntfy_address_names_a_topic(self, tmp_path: Path, url: str) -> None:
        assert "[notify] ntfy_url: " in refused(tmp_path, f'[notify]\nntfy_url = "{url}"\n')

    def test_an_ntfy_server_may_stand_below_a_path(self, tmp_path: Path) -> None:
        url = "http://10.0.0.7:8080/push/cameras-1"
        assert load(tmp_path, f'[notify]\nntfy_url = "{url}"\n').ntfy_url == url

    @pytest.mark.parametrize("key", ["webhook_secret_file", "ntfy_token_file"])
    def test_a_secret_without_its_address_is_a_mistake(self, tmp_path: Path, key: str) -> None:
        secret(tmp_path, "key", "hunter2")
        assert f"[notify] {key}: is set without" in refused(tmp_path, f'[notify]\n{key} = "key"\n')

    def test_an_end_to_push_needs_somewhere_to_push(self, tmp_path: Path) -> None:
        assert "ntfy_end: is set without ntfy_url" in refused(
            tmp_path, "[notify]\nntfy_end = true\n"
        )


class TestWeb:
    def test_a_page_for_others_needs_a_token(self, tmp_path: Path) -> None:
        text = refused(tmp_path, '[web]\nhost = "0.0.0.0"\n')
        assert "[web] host: can be reached from other machines, and there is no token" in text
        text = refused(tmp_path, '[web]\npublic_url = "https://box.example.org"\n')
        assert "[web] public_url: says that others reach the page" in text

    def test_a_token_is_long_enough_not_to_be_guessed(self, tmp_path: Path) -> None:
        secret(tmp_path, "token", "hunter2")
        text = refused(tmp_path, '[web]\ntoken_file = "token"\n')
        assert "[web] token_file: holds a token of fewer than 16 characters" in text
        assert "openssl rand -hex 32" in text

    @pytest.mark.parametrize("content", ["", " "])
    def test_an_empty_token_is_none(self, tmp_path: Path, content: str) -> None:
        secret(tmp_path, "token", content)
        assert "is empty" in refused(tmp_path, '[web]\ntoken_file = "token"\n')

    @pytest.mark.parametrize(
        ("url", "kept"),
        [
            ("https://box.example.org", "https://box.example.org"),
            ("http://10.0.0.9:8787/", "http://10.0.0.9:8787"),
        ],
    )
    def test_a_public_address_is_kept_without_its_slash(
        self, tmp_path: Path, url: str, kept: str
    ) -> None:
        secret(tmp_path, "token", "a token that is long")
        toml = f'[web]\ntoken_file = "token"\npublic_url = "{url}"\n'
        assert load(tmp_path, toml).web.public_url == kept

    @pytest.mark.parametrize(
        "url", ["box.example.org", "ftp://h", "https://h/path", "https://h/?x", "https://u@h"]
    )
    def test_what_is_no_origin_is_refused(self, tmp_path: Path, url: str) -> None:
        assert "[web] public_url: " in refused(tmp_path, f'[web]\npublic_url = "{url}"\n')
