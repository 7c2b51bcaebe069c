"""The remote engine: servers with OpenAI's interface (vLLM, trtllm-serve, NIM) judge the clips.

`media` makes files of clips, `bodies` requests of them, `replies` and `statuses` read what comes
back; `transport` is the only module that talks to the network. `servers` chooses whom to ask,
`seats` who may ask now. `acquaintance` finds out what a server can do, in the words of `dialect`.
`session` owns it all from start to close, `inquiry` follows one clip to its answer.
"""

from edgewatch.pipeline.engines.remote.model import RemoteModel

__all__ = ["RemoteModel"]
