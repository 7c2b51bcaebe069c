"""The sections of the settings: every key but the cameras', with its bounds and default."""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from edgewatch.config.addresses import Address
from edgewatch.config.rules import broken, free_of_control

DEFAULT_PROMPTS = {
    "fixed": (
        "The camera is fixed. An anomaly is what a person responsible for this place would want to "
        "be told of at once: a collision or a near miss, a fall, a fight, fire or smoke, somebody "
        "or something where it must not be, an object that drops, breaks or blocks the way, people "
        "suddenly running. People and traffic going about their business, weather and changes of "
        "light are normal."
    ),
    "driving": (
        "The camera looks out of a moving vehicle. An anomaly is a dangerous incident on the road: "
        "a collision or a near miss, hard braking or swerving to avoid one, a vehicle out of "
        "control, overturned or on the wrong side, somebody or something suddenly in the way, fire "
        "or smoke. Turning, overtaking, stopping at lights, dense traffic, bumps, weather and "
        "darkness are normal."
    ),
}
"""What counts as an anomaly where `prompt` says nothing, by `scene`."""

ENGINES_HERE = ("builtin", "transformers", "tensorrt", "remote", "native")
"""The engine kinds that this version can start; the others are known, but not there yet."""

LEAST_FRAMES = 4
"""Frames a clip needs before an engine can see motion in it."""

Seconds = Annotated[float, Field(gt=0, le=60)]
Fps = Annotated[float, Field(gt=0, le=30)]
PixelArea = Annotated[int, Field(ge=112 * 112, le=1280 * 784)]
Count = Annotated[int, Field(ge=1, le=100)]
CloseSeconds = Annotated[float, Field(gt=0, le=3600)]
CooldownSeconds = Annotated[float, Field(ge=0, le=86_400)]
Probability = Annotated[float, Field(gt=0, le=1)]
Prompt = Annotated[str, Field(min_length=1, max_length=8000), AfterValidator(free_of_control)]
Scene = Literal["fixed", "driving"]
Word = Annotated[str, Field(pattern=r"^[^\s<>|]{1,40}$")]
FilePath = Annotated[Path, Field(strict=False)]
"""A path; TOML and the environment write it as text. Made absolute in `sources`."""


class Section(BaseModel):
    """Base of all: frozen, knows no further keys, and takes no text for a number."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )


def host_id() -> str:
    """This machine's name, made fit for MQTT topics and identifiers."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", socket.gethostname()).strip("-.")[:64] or "edgewatch"


class Service(Section):
    """`[service]`: who we are and where we keep what we know."""

    id: str = Field(default_factory=host_id)
    data_dir: FilePath = Path("/var/lib/edgewatch")
    control_socket: FilePath = Path("/run/edgewatch/control.sock")
    drain_seconds: Annotated[float, Field(gt=0, le=8)] = 3.0
    """About how long a stop takes: half for the clips in hand, half for the outbox."""
    verdict_days: Annotated[int, Field(ge=1, le=3650)] = 14

    @field_validator("id")
    @classmethod
    def _id_fits_mqtt(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", value):
            broken(
                "must be 1 to 64 of A-Z, a-z, 0-9, '_', '.' and '-'",
                f'Use a short name such as "{host_id()}"',
            )
        return value


class Mqtt(Section):
    """`[mqtt]`: where verdicts and events are sent."""

    host: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """None: the embedded broker, on loopback."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    tls: bool = False
    ca_file: FilePath | None = None
    cert_file: FilePath | None = None
    key_file: FilePath | None = None
    username: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    password_file: FilePath | None = None
    base_topic: str = "edgewatch"
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """The version of MQTT; `auto`: 5, and 3.1.1 where the broker knows no newer one."""
    homeassistant_discovery: bool = True
    homeassistant_prefix: str = "homeassistant"
    """The discovery prefix that is set in Home Assistant."""
    thumbnails: bool = False
    """Publish the picture of each camera's last event."""

    @property
    def effective_port(self) -> int:
        """The port as set, else 8883 with TLS and 1883 without."""
        return self.port or (8883 if self.tls else 1883)

    @property
    def embedded(self) -> bool:
        """Whether the broker is our own."""
        return self.host is None

    @field_validator("host")
    @classmethod
    def _host_is_a_host(cls, value: str | None) -> str | None:
        if value is not None and re.search(r"[\s/@]", value):
            broken(
                "must be a host name or address alone",
                'Write host = "broker.local"; port, tls, username and password_file have own keys',
            )
        return value

    @field_validator("base_topic", "homeassistant_prefix")
    @classmethod
    def _topic_can_be_published_to(cls, value: str) -> str:
        if not re.fullmatch(r"[^+#\0$/][^+#\0/]*(/[^+#\0/]+)*", value) or len(value) > 200:
            broken(
                "is no topic that can be published to",
                "Use names with '/' between them, no '+', no '#', no '/' at either end and no "
                "'$' in front",
            )
        return value

    @model_validator(mode="after")
    def _keys_fit_each_other(self) -> Self:
        if self.embedded and self.tls:
            broken("the embedded broker has no TLS", "Set [mqtt] host, or tls = false", "tls")
        if self.embedded and self.protocol == "5":
            broken(
                "the embedded broker speaks MQTT 3.1.1 alone",
                'Set [mqtt] host, or protocol = "auto"',
                "protocol",
            )
        if self.embedded and self.username:
            broken(
                "the embedded broker asks for no user (it listens on loopback alone)",
                "Set [mqtt] host, or remove username",
                "username",
            )
        for key in ("ca_file", "cert_file", "key_file"):
            if getattr(self, key) is not None and not self.tls:
                broken("is set, but tls is off", f"Set tls = true, or remove {key}", key)
        if (self.cert_file is None) != (self.key_file is None):
            missing = "cert_file" if self.cert_file is None else "key_file"
            broken(
                "is missing: a client certificate needs cert_file and key_file",
                "Set both or neither",
                missing,
            )
        if self.password_file and not self.username:
            broken("is set without username", "Set username as well", "password_file")
        return self


class Engine(Section):
    """`[engine]`: who judges."""

    kind: Literal["builtin", "transformers", "tensorrt", "remote", "native"] = "builtin"
    model: FilePath | None = None
    """Directory of the checkpoint, in Hugging Face's layout."""
    threshold: Probability = 0.5
    calibration: Literal["auto", "none"] | FilePath = "auto"
    """What makes scores probabilities; `auto`: what `edgewatch calibrate` left for this engine."""
    explain_tokens: Annotated[int, Field(ge=0, le=2048)] = 96
    max_batch: Annotated[int, Field(ge=1, le=256)] = 8

    scene: Scene = "fixed"
    """Which default prompt holds where `prompt` says nothing."""
    prompt: Prompt | None = None
    """What counts as an anomaly here."""
    answers: Annotated[tuple[Word, Word], Field(strict=False)] = ("Yes", "No")
    """What the model is to answer where it sees an anomaly, and where not."""
    answer_prefix: Annotated[str, Field(max_length=200), AfterValidator(free_of_control)] = ""
    """Put into the model's mouth before its answer, for models that think aloud first."""
    least_mass: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Probability that both answers together must hold, else the verdict is uncertain."""
    question_first: bool = False
    """Asked before the video, not behind it; `edgewatch evaluate --question-orders` says which."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$")] = "auto"
    """Where `transformers` and `native` compute."""
    gpus: Annotated[tuple[Annotated[int, Field(ge=0, le=63)], ...], Field(strict=False)] = ()
    """One engine in a process of its own on each of these; empty: on the first."""
    tensor_parallel: Annotated[int, Field(ge=1, le=8)] = 1
    """So many GPUs share one engine, for a model that fits into none."""
    quantize: Literal["none", "int8"] = "none"
    """Weights halved at load (bitsandbytes), with `transformers` on a GPU."""
    precision: Literal["auto", "bf16", "fp8"] = "auto"
    """What `native` multiplies in; `auto`: what the checkpoint holds and the device has."""
    incremental: bool = True
    """Whether `native` keeps what it saw of a pair of frames for the clips that overlap there."""
    vision_cache_bytes: Annotated[int, Field(ge=0, le=64_000_000_000)] = 512_000_000
    """Memory of the device that `native` keeps it in; taken at the start."""
    compare_clips: Annotated[int, Field(ge=0, le=64)] = 0
    """So many clips are held against transformers, with the same weights, when `native` starts."""
    most_drift: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Mean change of P(anomaly) by weights quantised at load that `native` starts with; 1: any."""

    words_temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """How freely `native` chooses the words of a description; 0: the most probable each time."""
    words_top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Only the most probable tokens that have so much probability together are chosen from."""
    words_stop: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=100)], ...],
        Field(strict=False, max_length=8),
    ] = ()
    """Texts that end a description of `native`'s; they are left out of it."""

    url: str | None = None
    """A server with OpenAI's interface, for `remote`."""
    more_urls: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Further servers of the same model: a clip goes to the one that has the least to do."""
    served_model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """The model's name there; None: the first that the server names."""
    token_file: FilePath | None = None
    ca_file: FilePath | None = None
    send: Literal["video", "images", "image"] = "video"
    """As what a clip is sent: an mp4, one picture a frame for servers that take no video, or its
    middle frame alone for those whose model takes one picture."""
    request_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0
    """Longest wait for a server's answer."""

    @field_validator("kind")
    @classmethod
    def _kind_is_here(cls, value: str) -> str:
        if value not in ENGINES_HERE:
            broken(f'"{value}" is not in this version of edgewatch', 'Use kind = "builtin"')
        return value

    @property
    def servers(self) -> tuple[str, ...]:
        """Every server of `remote`."""
        return (*([self.url] if self.url else []), *self.more_urls)

    @field_validator("url", "more_urls")
    @classmethod
    def _urls_are_http_without_secret(
        cls, value: str | tuple[str, ...] | None
    ) -> str | tuple[str, ...] | None:
        for url in (value,) if isinstance(value, str) else value or ():
            parts = Address.parse(url)
            if parts.scheme not in ("http", "https"):
                broken("must be an http:// or https:// address", "See docs/configuration.md")
            if parts.has_password or parts.user:
                broken(
                    "holds a user or password",
                    "Remove what stands before the '@'; a token goes into token_file",
                )
        return value

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> Self:
        if self.kind in ("transformers", "tensorrt", "native") and self.model is None:
            broken(
                f'is missing: kind = "{self.kind}" loads a model',
                'Set model = "/models/NAME", the directory of a checkpoint; see docs/engines.md',
                "model",
            )
        if self.kind == "remote" and not self.servers:
            broken(
                'is missing: kind = "remote" asks a server',
                'Set url = "http://127.0.0.1:8000/v1", the address of its OpenAI interface',
                "url",
            )
        if self.kind == "remote" and self.question_first:
            broken(
                'does not go with kind = "remote": servers put the video first, whatever the order '
                "in which it is sent",
                "Remove question_first",
                "question_first",
            )
        if self.answers[0].casefold() == self.answers[1].casefold():
            broken("are the same word twice", 'Write answers = ["Yes", "No"]', "answers")
        if len(set(self.gpus)) < len(self.gpus):
            broken("names a GPU twice", "Name each GPU once", "gpus")
        return self


class Clips(Section):
    """`[clips]`: how video is cut into what an engine judges."""

    fps: Fps = 4.0
    seconds: Seconds = 5.0
    stride_seconds: Seconds = 2.5
    pixels: PixelArea = 63_504

    @model_validator(mode="after")
    def _clips_leave_no_gap(self) -> Self:
        if self.stride_seconds > self.seconds:
            broken(
                f"{self.stride_seconds:g} s is longer than a clip ({self.seconds:g} s): the "
                "footage between two clips would never be judged",
                f"Set stride_seconds to at most {self.seconds:g}",
                "stride_seconds",
            )
        if self.fps * self.seconds < LEAST_FRAMES:
            broken(
                f"{self.seconds:g} s at {self.fps:g} frames a second are fewer than "
                f"{LEAST_FRAMES} frames",
                f"Set seconds to at least {LEAST_FRAMES / self.fps:g}, or raise fps",
                "seconds",
            )
        return self


class Events(Section):
    """`[events]`: how verdicts become events."""

    open_after: Count = 2
    open_within: Count = 3
    close_after_seconds: CloseSeconds = 15.0
    close_below: Probability | None = None
    """An open event is quiet only below this score; None: below the threshold."""
    cooldown_seconds: CooldownSeconds = 60.0

    @model_validator(mode="after")
    def _an_event_can_open(self) -> Self:
        if self.open_after > self.open_within:
            broken(
                f"{self.open_after} anomalous clips among {self.open_within} can never be",
                f"Set open_after to at most {self.open_within}, or raise open_within",
                "open_after",
            )
        return self


class Evidence(Section):
    """`[evidence]`: what is kept of an event, and for how long."""

    pre_seconds: Annotated[float, Field(ge=0, le=60)] = 10.0
    post_seconds: Annotated[float, Field(ge=0, le=300)] = 10.0
    max_bytes: Annotated[int, Field(ge=10_000_000)] = 20_000_000_000
    max_age_days: Annotated[int, Field(ge=1, le=3650)] = 14
    enabled: bool = True
    """Whether anything is kept of events but their record."""
    max_seconds: Annotated[float, Field(ge=10, le=3600)] = 600.0
    """Longest video; an event that goes on for longer is not recorded to its end."""
    max_recordings: Annotated[int, Field(ge=1, le=256)] = 32
    """Videos that are written at once."""
    reserve_bytes: Annotated[int, Field(ge=0)] = 500_000_000
    """With less free on the disk no evidence is kept: the database goes on."""
    camera_memory_bytes: Annotated[int, Field(ge=1_000_000, le=1_000_000_000)] = 16_000_000
    """Memory for the last seconds of a camera, compressed: 20 s of 6 Mbit/s."""


_ORIGIN_CURE = 'Write it as "https://box.example.org", or with a port'


class Notify(Section):
    """`[notify]`: who else is told of an alert. An address may itself be a secret."""

    webhook_url: Annotated[str | None, Field(max_length=2000, repr=False)] = None
    webhook_url_file: FilePath | None = None
    """A file with the address, which wins over `webhook_url`."""
    webhook_secret_file: FilePath | None = None
    """Key of the signature."""
    ntfy_url: Annotated[str | None, Field(max_length=2000, repr=False)] = None
    """Address of a topic."""
    ntfy_url_file: FilePath | None = None
    ntfy_token_file: FilePath | None = None
    ntfy_end: bool = False
    """Push the end of an event as well."""
    ca_file: FilePath | None = None
    """Certificates to check both against; None: the system's."""
    give_up_hours: Annotated[float, Field(gt=0, le=168)] = 24.0

    @field_validator("webhook_url")
    @classmethod
    def _webhook_is_http(cls, value: str | None) -> str | None:
        return value if value is None else http_address(value)

    @field_validator("ntfy_url")
    @classmethod
    def _ntfy_names_a_topic(cls, value: str | None) -> str | None:
        return value if value is None else ntfy_address(value)

    @model_validator(mode="after")
    def _keys_fit_each_other(self) -> Self:
        for way, secret in (("webhook", "webhook_secret_file"), ("ntfy", "ntfy_token_file")):
            inline, file = getattr(self, f"{way}_url"), getattr(self, f"{way}_url_file")
            if getattr(self, secret) and not (inline or file):
                broken(f"is set without {way}_url", f"Set {way}_url as well", secret)
        if self.ntfy_end and not (self.ntfy_url or self.ntfy_url_file):
            broken("is set without ntfy_url", "Set ntfy_url as well", "ntfy_end")
        return self


def http_address(text: str) -> str:
    """Let an address pass that alerts can be sent to. Raises BrokenRule, which repeats nothing."""
    parts = Address.parse(text)
    if parts.scheme not in ("http", "https"):
        broken("must be an http:// or https:// address", "See docs/notify.md")
    if parts.has_password or parts.user:
        broken("holds a user or password", "Remove what stands before the '@'")
    if not text.isascii() or not text.isprintable() or " " in text or "#" in text:
        broken("holds what no address may", "Write it as the receiver's own page shows it")
    return text


def ntfy_address(text: str) -> str:
    """Let the address of an ntfy topic pass. Raises BrokenRule, which repeats nothing."""
    http_address(text)
    if not re.fullmatch(r"[^?]*//[^/?]+(/[^?]*)?/[-_A-Za-z0-9]{1,64}", text):
        broken(
            "names no topic, or more than that",
            'Write ntfy_url = "https://ntfy.example.org/TOPIC", the topic of A-Z a-z 0-9 _ -',
        )
    return text


class Web(Section):
    """`[web]`: the page."""

    host: Annotated[str, Field(min_length=1, max_length=253)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8787
    """0: no page."""
    token_file: FilePath | None = None
    public_url: Annotated[str, Field(max_length=400)] | None = None
    """Where others reach the page, for links in alerts and where a proxy stands before it."""

    @field_validator("public_url")
    @classmethod
    def _public_url_is_an_origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = Address.parse(value)
        if parts.scheme not in ("http", "https") or parts.has_password or parts.user:
            broken("must be an http:// or https:// address, without user", _ORIGIN_CURE)
        if not re.fullmatch(r"https?://[^/?#\s]+/?", value, re.IGNORECASE):
            broken("has a path, and the page's own begin at /", _ORIGIN_CURE)
        return value.rstrip("/")

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the page."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
