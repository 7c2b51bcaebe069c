"""A tree of values checked: sections, cameras and secrets, or all that is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from edgewatch.config.cameras import CameraSettings
from edgewatch.config.credentials import (
    LONGEST_SECRET_BYTES,
    Content,
    FileUnusable,
    read_private,
    secret_in,
)
from edgewatch.config.errors import ConfigError, Problem
from edgewatch.config.problems import complaints, nearest
from edgewatch.config.rules import BrokenRule
from edgewatch.config.sections import (
    Engine,
    Mqtt,
    Notify,
    Section,
    Web,
    http_address,
    ntfy_address,
)
from edgewatch.config.sources import Location, Tree

_SectionT = TypeVar("_SectionT", bound=Section)

SHORTEST_TOKEN = 16
"""Characters of the page's token: what stands against guessing, beside the rate limit."""


class Check:
    """Goes through a tree and on after each problem, so that one run brings all to light."""

    def __init__(self, tree: Tree, credentials: Path | None) -> None:
        """`credentials`: systemd's folder of credentials, if there is one."""
        self.sections: dict[str, Any] = {}
        """Each section that is right, by its name."""
        self.cameras: dict[int, CameraSettings] = {}
        """The cameras that are right in themselves, by their place in the list."""
        self.secrets: dict[str, str] = {}
        """By the name a systemd credential would have: `mqtt.password`, `front.password`."""
        self.warnings: list[str] = []
        self._tree = tree
        self._credentials = credentials
        self._problems = list(tree.problems)

    def run(self, models: Mapping[str, type[Section]]) -> None:
        """Check everything. Raises ConfigError."""
        for name in sorted(self._tree.values.keys() - models.keys() - {"cameras"}):
            cure = nearest(name, [*models, "cameras"])
            is_table = isinstance(self._tree.values[name], Mapping)
            wrong = "unknown section" if is_table else "unknown key outside of all sections"
            self._note((name,), f"[{name}]" if is_table else name, wrong, cure)
        for name, model in models.items():
            self._check_section(name, model)
        self._check_cameras()
        self._check_unique()
        self._check_overlaid()
        if mqtt := self.sections.get("mqtt"):
            self._check_mqtt(mqtt)
        if web := self.sections.get("web"):
            self._check_web(web)
        if notify := self.sections.get("notify"):
            self._check_notify(notify)
        if engine := self.sections.get("engine"):
            self._check_engine(engine)
        for index, camera in self.cameras.items():
            self._check_files(index, camera)
        if self._problems:
            raise ConfigError(self._problems)

    def _check_section(self, name: str, model: type[Section]) -> None:
        values = self._tree.values.get(name, {})
        if not isinstance(values, Mapping):
            self._note((name,), f"[{name}]", "is no section", f"Write [{name}], its keys below it.")
        elif section := self._validated(model, values, (name,)):
            self.sections[name] = section

    def _check_cameras(self) -> None:
        tables = self._tree.values.get("cameras", [])
        if not isinstance(tables, list):
            self._note(("cameras",), "cameras", "is no list", "Write [[cameras]] above each one.")
            return
        for index, table in enumerate(tables):
            path = ("cameras", index)
            if not isinstance(table, Mapping):
                cure = "Write [[cameras]] above each one."
                self._note(path, self._title(path), "is no table", cure)
            elif camera := self._validated(CameraSettings, table, path):
                self.cameras[index] = camera

    def _check_unique(self) -> None:
        """Look at the names as they stand, so that cameras with other problems count as well."""
        first: dict[str, int] = {}
        tables = self._tree.values.get("cameras")
        for index, table in enumerate(tables if isinstance(tables, list) else ()):
            name = table.get("name") if isinstance(table, Mapping) else None
            if isinstance(name, str) and first.setdefault(name, index) != index:
                wrong = f"camera #{first[name] + 1} has the same name"
                self._note_key(("cameras", index), "name", wrong, "Give each a name of its own.")

    def _check_overlaid(self) -> None:
        """Hold each camera's own keys against the sections that they change."""
        for name in ("clips", "events"):
            section: Section | None = self.sections.get(name)
            if section is None:
                continue
            for index, camera in self.cameras.items():
                try:
                    camera.overlay(section)
                except ValidationError as error:
                    self._note_all(error, type(section), ("cameras", index))

    def _check_mqtt(self, mqtt: Mqtt) -> None:
        for key in ("ca_file", "cert_file", "key_file"):
            if file := getattr(mqtt, key):
                content = self._read(("mqtt",), key, file, longest_bytes=1)
                if content and key == "key_file":
                    self._warn_if_open(("mqtt",), key, content, file)
        if mqtt.username:
            self._read_secret("mqtt.password", ("mqtt",), "password_file", mqtt.password_file)

    def _check_web(self, web: Web) -> None:
        self._read_secret("web.token", ("web",), "token_file", web.token_file)
        asked_for = web.token_file or "web.token" in self.secrets
        if web.port and not web.on_loopback and not asked_for:
            wrong = "can be reached from other machines, and there is no token"
            cure = 'Set token_file, or host = "127.0.0.1".'
            self._note_key(("web",), "host", wrong, cure)
        if web.port and web.on_loopback and web.public_url and not asked_for:
            wrong = "says that others reach the page, and there is no token"
            self._note_key(("web",), "public_url", wrong, "Set token_file, or remove public_url.")
        token = self.secrets.get("web.token")
        if token is not None and len(token) < SHORTEST_TOKEN:
            wrong = f"holds a token of fewer than {SHORTEST_TOKEN} characters"
            cure = "Make a longer one: openssl rand -hex 32"
            self._note_key(("web",), "token_file", wrong, cure)

    def _check_notify(self, notify: Notify) -> None:
        path: Location = ("notify",)
        rules = {"webhook": http_address, "ntfy": ntfy_address}
        for way, rule in rules.items():
            key, name = f"{way}_url_file", f"notify.{way}_url"
            self._read_secret(name, path, key, getattr(notify, key))
            try:
                rule(self.secrets.get(name, "https://h/t"))
            except BrokenRule as error:
                told = error.context or {}
                wrong = f"the address in it {told['wrong']}"
                self._note_key(path, key, wrong, f"{told['cure']}.")
        self._read_secret(
            "notify.webhook_secret", path, "webhook_secret_file", notify.webhook_secret_file
        )
        self._read_secret("notify.ntfy_token", path, "ntfy_token_file", notify.ntfy_token_file)
        if notify.ca_file:
            self._read(path, "ca_file", notify.ca_file, longest_bytes=1)

    def _check_engine(self, engine: Engine) -> None:
        self._read_secret("engine.token", ("engine",), "token_file", engine.token_file)
        if engine.ca_file:
            self._read(("engine",), "ca_file", engine.ca_file, longest_bytes=1)

    def _check_files(self, index: int, camera: CameraSettings) -> None:
        path: Location = ("cameras", index)
        if camera.user:
            self._read_secret(
                f"{camera.name}.password", path, "password_file", camera.password_file
            )
        if camera.ca_file:
            self._read(path, "ca_file", camera.ca_file, longest_bytes=1)

    def _read_secret(self, name: str, path: Location, key: str, file: Path | None) -> None:
        """Read a secret from its file, or else from systemd's credential of that name."""
        if file is None and self._credentials and (self._credentials / name).exists():
            file = self._credentials / name
        if file is None:
            return
        content = self._read(path, key, file, LONGEST_SECRET_BYTES)
        if content is None:
            return
        try:
            self.secrets[name] = secret_in(content, file)
        except FileUnusable as error:
            self._note_key(path, key, error.wrong, error.cure)
        self._warn_if_open(path, key, content, file)

    def _read(self, path: Location, key: str, file: Path, longest_bytes: int) -> Content | None:
        try:
            return read_private(file, longest_bytes)
        except FileUnusable as error:
            self._note_key(path, key, error.wrong, error.cure)
            return None

    def _warn_if_open(self, path: Location, key: str, content: Content, file: Path) -> None:
        if content.open_to_all:
            self.warnings.append(
                f"{self._title(path)} {key}: every user of this machine can read {file}. "
                f"chmod o= {file}"
            )

    def _validated(
        self, model: type[_SectionT], values: Mapping[str, Any], path: Location
    ) -> _SectionT | None:
        try:
            return model.model_validate(values)
        except ValidationError as error:
            self._note_all(error, model, path)
            return None

    def _note_all(self, error: ValidationError, model: type[Section], path: Location) -> None:
        for complaint in complaints(error, model):
            self._note_key(path, complaint.key, complaint.wrong, complaint.cure)

    def _note_key(self, path: Location, key: str, wrong: str, cure: str) -> None:
        self._note((*path, key), f"{self._title(path)} {key}".strip(), wrong, cure)

    def _note(self, path: Location, key: str, wrong: str, cure: str) -> None:
        self._problems.append(Problem(self._tree.place(path), key, wrong, cure))

    def _title(self, path: Location) -> str:
        """A section as a person would look for it: `[mqtt]`, `[[cameras]] #2 "front"`."""
        if len(path) == 1:
            return f"[{path[0]}]"
        table = self._tree.values["cameras"][path[1]]
        name = table.get("name") if isinstance(table, Mapping) else None
        number = f"[[cameras]] #{int(path[1]) + 1}"
        return f'{number} "{name}"' if isinstance(name, str) and len(name) <= 64 else number
