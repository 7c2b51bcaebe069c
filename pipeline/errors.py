"""Every error edgewatch raises on purpose, sorted by what the caller can do about it.

EdgewatchError
  CameraError             one camera's trouble never ends the service
    CameraUnreachable       retryable, with back-off: refused, timed out, stalled, ended
    CameraRejected          slow retry: wrong password, no such stream, no video, unknown codec
  EngineError
    EngineBusy              drop or wait, by policy
    EngineFailed            restart the engine, then let systemd restart us
    AnswerUnreadable        it spoke, but no verdict
  StoreError              the database cannot take it now (disk full); kept in memory, tried again
  DeliveryError           the broker did not take it; stays in the outbox
  BrokerUnavailable       the embedded broker could not start
  SceneError              a scene was not made; exit codes of `edgewatch scenes` behind each
    SceneRefused            2: memory, licence, token, disk or policy stands against it
    SceneInvalid            3: what came out is no picture to be used
    SceneUnavailable        4: the backend, its packages or its model are not there

Wrong settings are `edgewatch.config.errors.ConfigError` (exit 78): it stands beside this
tree, since the settings import nothing of the pipeline.
"""

from __future__ import annotations


class EdgewatchError(Exception):
    """Base of all; `str()` of it is fit for a person and never holds a secret."""


class CameraError(EdgewatchError):
    """A source could not be read.

    `reason` is a fixed short name for machines (see `Health.reason`), the message is one sentence
    for people. Neither ever holds the URL's user or password.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def let_go(self) -> None:
        """Forget where it came from, once it was dealt with and only its words are of use.

        The frames that an error passed hold what was at hand there (decoders, packets, pictures),
        and whoever keeps the error stands in a circle with them, which only a late run of the
        garbage collector breaks: each broken connection would cost its decoder's memory so long.
        """
        self.__traceback__ = self.__context__ = self.__cause__ = None


class CameraUnreachable(CameraError):
    """The source may come back by itself: try again, with back-off."""


class CameraRejected(CameraError):
    """The source answered, and trying again quickly will not help: retry slowly."""


class EngineError(EdgewatchError):
    """The engine did not judge."""


class EngineBusy(EngineError):
    """The engine cannot take more right now."""


class EngineFailed(EngineError):
    """The engine is broken and must be started anew.

    `cure` says what to do about it, and stands at the end of the text: "what: cure". Empty where
    there is none, or where it is known only to whoever wrote the text.
    """

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(f"{what}: {cure}" if cure else what)
        self.what = what
        self.cure = cure


class AnswerUnreadable(EngineError):
    """The engine answered, but the answer is no verdict."""


class StoreError(EdgewatchError):
    """The database could not be opened, read or written; the message says why and the cure."""


class DeliveryError(EdgewatchError):
    """The broker did not acknowledge; the message stays in the outbox."""


class BrokerUnavailable(EdgewatchError):
    """The embedded broker could not start (its port is taken, most likely)."""


class DrillRefused(EdgewatchError):
    """A fire drill may not begin now; the text says why and what to do."""


class DrillLeak(EdgewatchError):
    """A fire drill's message was about to go where real alerts go, or the other way round."""


class SceneError(EdgewatchError):
    """A scene was not made; the text ends with the cure."""


class SceneRefused(SceneError):
    """It could be made, but must not be: memory, disk, licence, token or policy is against it."""


class SceneInvalid(SceneError):
    """What was made is no picture to be used: black, noise, NaN, or too far from its reference."""


class SceneUnavailable(SceneError):
    """What would make it is not there: a package, a model, a plan of this machine, a server."""
