"""The settings: one tree, made from arguments, environment, file and defaults."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr

from edgewatch.config.cameras import CameraSettings
from edgewatch.config.checking import Check
from edgewatch.config.drill import Drill
from edgewatch.config.errors import ConfigError
from edgewatch.config.regions import LARGE_SHARE, Regions, ignored_share
from edgewatch.config.scenes import Scenes
from edgewatch.config.sections import (
    DEFAULT_PROMPTS,
    Clips,
    Engine,
    Events,
    Evidence,
    Mqtt,
    Notify,
    Scene,
    Section,
    Service,
    Web,
)
from edgewatch.config.sources import Tree, read_first, read_named

DEFAULT_FILES = (Path("/etc/edgewatch/edgewatch.toml"), Path("edgewatch.toml"))

TRAINED_FPS = 4.0
"""Vision-language models learn the pace of time at up to this many frames a second."""

SECTIONS: Mapping[str, type[Section]] = {
    "service": Service,
    "mqtt": Mqtt,
    "engine": Engine,
    "clips": Clips,
    "events": Events,
    "evidence": Evidence,
    "notify": Notify,
    "drill": Drill,
    "web": Web,
    "scenes": Scenes,
}


@dataclass(frozen=True, slots=True)
class CameraPlan:
    """One camera with everything that applies to it: its own keys over those of the sections."""

    name: str
    url: str
    """What is judged (`detect_url`, if there is one), without password; a path is absolute."""
    password: str | None = field(repr=False)
    enabled: bool
    loop: bool
    rtsp_transport: str
    ca_file: Path | None
    hwaccel: str
    schedule: tuple[str, ...]
    """See `schedule.Schedule.parse`."""
    clips: Clips
    events: Events
    threshold: float
    prompt: str
    ignore: Regions = ()
    """Regions of the picture that are not judged."""
    scene: Scene = "fixed"
    """Whether the camera stands ("fixed") or looks out of a moving vehicle ("driving")."""


class Settings(Section):
    """Everything edgewatch can be told. `Settings()` is the built-in defaults."""

    service: Service = Field(default_factory=Service)
    mqtt: Mqtt = Mqtt()
    engine: Engine = Engine()
    clips: Clips = Clips()
    events: Events = Events()
    evidence: Evidence = Evidence()
    notify: Notify = Notify()
    drill: Drill = Drill()
    web: Web = Web()
    scenes: Scenes = Scenes()
    cameras: tuple[CameraSettings, ...] = ()

    _source: Path | None = PrivateAttr(None)
    _warnings: tuple[str, ...] = PrivateAttr(())
    _secrets: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def source(self) -> Path | None:
        """The file they come from; None: there was none."""
        return self._source

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed but unwise, a sentence each."""
        return self._warnings

    @property
    def mqtt_password(self) -> str | None:
        """Password for the broker."""
        return self._secrets.get("mqtt.password")

    @property
    def web_token(self) -> str | None:
        """Token that the page asks for; None: it asks for none, and is on loopback."""
        return self._secrets.get("web.token")

    @property
    def engine_token(self) -> str | None:
        """What the engine's server asks for, if anything."""
        return self._secrets.get("engine.token")

    @property
    def webhook_url(self) -> str | None:
        """Where the webhook is; a secret."""
        return self._secrets.get("notify.webhook_url") or self.notify.webhook_url

    @property
    def webhook_secret(self) -> str | None:
        """Key with which webhooks are signed; None: they are not."""
        return self._secrets.get("notify.webhook_secret")

    @property
    def ntfy_url(self) -> str | None:
        """Where the push topic is; a secret."""
        return self._secrets.get("notify.ntfy_url") or self.notify.ntfy_url

    @property
    def ntfy_token(self) -> str | None:
        """Token for the push server, if it asks for one."""
        return self._secrets.get("notify.ntfy_token")

    def with_engine_of(self, other: Settings) -> Settings:
        """Return these settings with the other's `[engine]`, its token included."""
        changed = self.model_copy(update={"engine": other.engine})
        kept = {name: text for name, text in self._secrets.items() if name != "engine.token"}
        token = other.engine_token
        changed._secrets = kept | ({"engine.token": token} if token is not None else {})
        return changed

    def plans(self) -> tuple[CameraPlan, ...]:
        """What to do with each camera, in the order of the file."""
        return tuple(self._plan(camera) for camera in self.cameras)

    def plan_for(self, name: str | None) -> CameraPlan:
        """What to do with a recording: as for the camera of that name, or by the sections alone.

        Raises ConfigError if there is no such camera.
        """
        if name is None:
            return self._plan(CameraSettings(name="recording", url="/"))
        for plan in self.plans():
            if plan.name == name:
                return plan
        known = ", ".join(camera.name for camera in self.cameras) or "none"
        raise ConfigError(f"no camera is named {name!r}; configured are: {known}")

    def _plan(self, camera: CameraSettings) -> CameraPlan:
        return CameraPlan(
            name=camera.name,
            url=camera.judged_url,
            password=self._secrets.get(f"{camera.name}.password"),
            enabled=camera.enabled,
            loop=camera.loop,
            rtsp_transport=camera.rtsp_transport,
            ca_file=camera.ca_file,
            hwaccel=camera.hwaccel,
            schedule=camera.schedule,
            clips=camera.overlay(self.clips),
            events=camera.overlay(self.events),
            threshold=self.engine.threshold if camera.threshold is None else camera.threshold,
            prompt=(
                camera.prompt
                or (None if camera.scene else self.engine.prompt)
                or DEFAULT_PROMPTS[camera.scene or self.engine.scene]
            ),
            ignore=camera.ignore,
            scene=camera.scene or self.engine.scene,
        )


def load_settings(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    default_files: Sequence[Path] = DEFAULT_FILES,
) -> Settings:
    """Read the settings anew. Raises ConfigError, which lists every problem there is.

    `path`: the file; None: the one that EDGEWATCH_CONFIG names, else the first of `default_files`
    that exists, else no file. `environ`: None: this process's. `overrides`: nested values that
    win over all else, `{"mqtt": {"port": 1884}}`; a list of cameras replaces those of the file.
    """
    environ = os.environ if environ is None else environ
    if path is None and environ.get("EDGEWATCH_CONFIG"):
        path = Path(environ["EDGEWATCH_CONFIG"])
    found = read_first(default_files) if path is None else (path, read_named(path))
    here = Path.cwd()
    tree = Tree(SECTIONS, place=str(found[0]) if found else "settings (there is no file)")
    if found:
        tree.take(found[1], str(found[0]), (here / found[0]).parent)
    tree.take_environment(environ, here)
    tree.take(overrides or {}, "command line", here)
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    check = Check(tree, Path(credentials) if credentials else None)
    check.run(SECTIONS)
    settings = Settings(**check.sections, cameras=tuple(check.cameras.values()))
    settings._source = here / found[0] if found else None
    settings._warnings = (*check.warnings, *_unwise(settings))
    settings._secrets = check.secrets
    return settings


def _unwise(settings: Settings) -> Iterator[str]:
    """Tell what is allowed but costs more than it brings."""
    for plan in settings.plans():
        if plan.clips.fps > TRAINED_FPS:
            yield (
                f'camera "{plan.name}" fps: {plan.clips.fps:g} is above {TRAINED_FPS:g}, which '
                "engines are made for; it costs time and brings nothing. Set fps = 4.0"
            )
        if (share := ignored_share(plan.ignore)) > LARGE_SHARE:
            yield (
                f'camera "{plan.name}" ignore: {100 * share:.0f} % of its picture is not judged. '
                "Draw smaller regions, or point the camera elsewhere"
            )
        close_below = plan.events.close_below
        if close_below is not None and close_below >= plan.threshold:
            yield (
                f'camera "{plan.name}" close_below: {close_below:g} is not below the threshold '
                f"({plan.threshold:g}) and changes nothing. Set it below the threshold"
            )
