"""Where settings come from: arguments, environment, file, in this order of precedence.

The result is one tree of plain values that remembers who said what. Relative paths are made
absolute here: those in the file are relative to its folder, all others to the working directory.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from edgewatch.config.cameras import CameraSettings
from edgewatch.config.errors import ConfigError, Problem
from edgewatch.config.problems import base_types, choices_of, nearest
from edgewatch.config.sections import Section

PREFIX = "EDGEWATCH_"
NOT_SETTINGS = frozenset({"EDGEWATCH_CONFIG", "EDGEWATCH_LOG"})
"""Ours, but no keys of the tree: where the file is, and the level of the log (daemon/logs)."""

Location = tuple[str | int, ...]
"""Where a value stands in the tree: ("mqtt", "port") or ("cameras", 0, "url")."""


class Tree:
    """Plain values by section, and for each the place that said it."""

    def __init__(self, sections: Mapping[str, type[Section]], place: str) -> None:
        self.values: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self._sections = sections
        self._place = place
        self._places: dict[Location, str] = {}

    def place(self, path: Location) -> str:
        """Who said the value at `path`, or else what it is in."""
        for length in range(len(path), 0, -1):
            if said := self._places.get(path[:length]):
                return said
        return self._place

    def take(self, values: Mapping[str, Any], place: str, folder: Path) -> None:
        """Lay nested values over what is there; a list of cameras replaces the whole list."""
        for section, content in values.items():
            table = self.values.setdefault(section, {})
            if section == "cameras" and isinstance(content, list | tuple):
                self._take_cameras(content, place, folder)
            elif section in self._sections and isinstance(content, Mapping):
                if not isinstance(table, dict):
                    continue  # what the file has there is refused as a whole
                for key, value in content.items():
                    table[key] = anchored(self._sections[section], key, value, folder)
                    self._places[section, key] = place
            else:
                self.values[section] = content
                self._places[section,] = place

    def _take_cameras(self, cameras: Sequence[Any], place: str, folder: Path) -> None:
        self._places = {path: said for path, said in self._places.items() if path[0] != "cameras"}
        self._places["cameras",] = place
        self.values["cameras"] = [
            {key: anchored(CameraSettings, key, value, folder) for key, value in camera.items()}
            if isinstance(camera, Mapping)
            else camera
            for camera in cameras
        ]

    def take_environment(self, environ: Mapping[str, str], folder: Path) -> None:
        """Lay `EDGEWATCH_SECTION__KEY` over what is there; note the names that mean nothing."""
        for name in sorted(environ):
            if not name.startswith(PREFIX) or name in NOT_SETTINGS:
                continue
            match name.removeprefix(PREFIX).lower().split("__"):
                case ["cameras"]:
                    self.take({"cameras": from_json(environ[name])}, name, folder)
                case [section, key] if key in fields_of(self._sections.get(section)):
                    value = from_text(self._sections[section].model_fields[key], environ[name])
                    self.take({section: {key: value}}, name, folder)
                case ["cameras", camera, key] if key in CameraSettings.model_fields:
                    self._take_for_camera(name, camera, key, environ[name], folder)
                case _:
                    self._note_unknown(name)

    def _take_for_camera(self, name: str, camera: str, key: str, text: str, folder: Path) -> None:
        for index, table in enumerate(self._camera_tables()):
            if str(table.get("name", "")).replace("-", "_") == camera:
                value = from_text(CameraSettings.model_fields[key], text)
                table[key] = anchored(CameraSettings, key, value, folder)
                self._places["cameras", index, key] = name
                return
        self.problems.append(
            Problem(name, "", f'there is no camera "{camera}"', "Add it, or unset the variable.")
        )

    def _camera_tables(self) -> list[dict[str, Any]]:
        """The cameras so far; one that is no table stands as an empty one."""
        cameras = self.values.get("cameras")
        tables = cameras if isinstance(cameras, list) else []
        return [table if isinstance(table, dict) else {} for table in tables]

    def _note_unknown(self, name: str) -> None:
        known = [
            f"{PREFIX}{section}__{key}".upper()
            for section, model in self._sections.items()
            for key in model.model_fields
        ] + [
            f"{PREFIX}CAMERAS__{str(table.get('name', '')).replace('-', '_')}__{key}".upper()
            for table in self._camera_tables()
            for key in CameraSettings.model_fields
        ]
        cure = f"{nearest(name, [*known, *NOT_SETTINGS, 'EDGEWATCH_CAMERAS'])} Or unset it."
        self.problems.append(Problem(name, "", "no setting has this name", cure))


def fields_of(model: type[Section] | None) -> Mapping[str, FieldInfo]:
    """The keys of a section, if it is one."""
    return model.model_fields if model else {}


def from_text(field: FieldInfo, text: str) -> Any:
    """Read a variable as the type its key has; what cannot be read stays text and is refused."""
    kinds = base_types(field.annotation)
    if text == "" and type(None) in kinds:
        return None
    if bool in kinds:
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        return words.get(text.lower(), text)
    if tuple in kinds:
        return from_json(text)
    for number in (int, float):
        if number in kinds or (number is int and float in kinds):
            try:
                return number(text)
            except ValueError:
                continue
    return text


def from_json(text: str) -> Any:
    """Read a list from a variable; what is no JSON stays text and is refused."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def anchored(model: type[Section], key: str, value: Any, folder: Path) -> Any:
    """Make a relative path absolute; anything else is returned as it is."""
    field = model.model_fields.get(key)
    if field is None or not isinstance(value, str) or not value or value in choices_of(field):
        return value
    is_source = model is CameraSettings and key in ("url", "detect_url") and "://" not in value
    return str(folder / value) if is_source or Path in base_types(field.annotation) else value


def read_first(candidates: Sequence[Path]) -> tuple[Path, dict[str, Any]] | None:
    """Read the first file of several that exists. Raises ConfigError if it cannot be used."""
    for path in candidates:
        try:
            return path, read_toml(path)
        except FileNotFoundError:
            continue
    return None


def read_named(path: Path) -> dict[str, Any]:
    """Read a file that was asked for by name. Raises ConfigError, also if it does not exist."""
    try:
        return read_toml(path)
    except FileNotFoundError as error:
        cure = "Correct the path, or leave it out to use the built-in defaults."
        raise ConfigError([Problem(str(path), "", "does not exist", cure)]) from error


def read_toml(path: Path) -> dict[str, Any]:
    """Read a file. Raises FileNotFoundError, and ConfigError if it is there but unusable."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except OSError as error:
        cure = f"Let the user that edgewatch runs as read it: ls -l {path}."
        raise ConfigError(
            [Problem(str(path), "", f"cannot be read ({error.strerror})", cure)]
        ) from error
    except UnicodeDecodeError as error:
        problem = Problem(str(path), "", "is not UTF-8 text", "Save it as UTF-8.")
        raise ConfigError([problem]) from error
    except tomllib.TOMLDecodeError as error:
        cure = "Correct that line: text stands in double quotes, numbers and true/false do not."
        raise ConfigError([Problem(str(path), "", f"is not valid TOML: {error}", cure)]) from error
