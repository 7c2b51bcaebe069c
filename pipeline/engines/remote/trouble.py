"""Trouble with a server, sorted by what is done about it. Pure.

Trouble
  ServerBusy         it is well, but takes nothing more now: another is asked, or it again later
  ServerLost         nothing came, or half of it: asked again; lost too often, it is left out
  ServerGone         it hangs, or is no longer what it was: left out at once
  AnswerBroken       it answered nonsense: not asked again about this clip
  RequestRefused     it will not answer this request, however often it is asked
    FieldUnknown     as it forbids a field that it does not know
  SettingsWrong      nothing but a change of settings, here or there, helps: left out at once
"""

from __future__ import annotations


class Trouble(Exception):
    """Base of all; `str()` of it is fit for a person and never holds the token.

    `what` follows the server's address in a sentence, `cure` is what to do about it, if known.
    """

    def __init__(
        self, what: str, cure: str = "", *, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(f"{what}: {cure}" if cure else what)
        self.what = what
        self.cure = cure
        self.retry_after_seconds = retry_after_seconds
        """When to come again, as the server asked for; None: it did not say."""


class ServerBusy(Trouble):
    """The server takes nothing more now."""


class ServerLost(Trouble):
    """Nothing came of the request, or half an answer: it is safe to ask again."""


class ServerGone(Trouble):
    """The server hangs, or serves something else by now."""


class AnswerBroken(Trouble):
    """The server answered, but not what was asked for."""


class RequestRefused(Trouble):
    """The server will not answer this request."""


class FieldUnknown(RequestRefused):
    """The server forbids a field of the request."""


class SettingsWrong(Trouble):
    """The server will say the same until settings are changed."""
