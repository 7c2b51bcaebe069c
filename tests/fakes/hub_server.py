"""A strict hub on loopback: gated repositories, large files from elsewhere, faults on demand.

It answers as huggingface_hub expects it to: listings in pages, small files by a relative redirect,
large ones by a redirect to another server (another port here), which must never see a token.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes.server_thread import served

PAGE_FILES = 5


@dataclass
class Repo:
    """One repository. Changing `files` makes a new commit."""

    files: dict[str, bytes]
    gated: bool = False

    @property
    def commit(self) -> str:
        digest = hashlib.sha1(usedforsecurity=False)
        for path, content in sorted(self.files.items()):
            digest.update(path.encode() + b"\0" + content)
        return digest.hexdigest()


@dataclass
class HubServer:
    """The hub and the server it keeps large files on."""

    repos: dict[str, Repo]
    token: str = "hf_" + "x" * 20
    terms_accepted: bool = True
    port: int = 0
    cdn_port: int = 0

    statuses: deque[int] = field(default_factory=deque)
    """Answers to the next requests to the hub, in place of its own."""
    retry_after: str | None = None
    cuts: dict[str, deque[int]] = field(default_factory=dict)
    """By path: after so many bytes of the next answers the connection breaks."""
    falsified: dict[str, bytes] = field(default_factory=dict)
    """By path: what is sent instead of the content."""
    etag: str | None = None
    """In place of the right one."""
    etags: Iterator[str] | None = None
    """One for each answer: a server that knows nothing of its earlier ones."""
    page: str | None = None
    """What every address answers, as a login page does."""
    listed_besides: list[dict[str, Any]] = field(default_factory=list)

    asked: Counter[str] = field(default_factory=Counter)
    """Requests for the content of files, by path."""
    ranges: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Path, Range and If-Range of those that had one."""
    sent_bytes: int = 0
    violations: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[HubServer]:
        hub, cdn = web.Application(), web.Application()
        hub.router.add_get("/{path:.*}", self._hub)
        cdn.router.add_get("/blobs/{sha256}", self._blob)
        with served(hub, cdn) as (self.port, self.cdn_port):
            yield self

    async def _hub(self, request: web.Request) -> web.StreamResponse:
        if self.page is not None:
            return web.Response(text=self.page, content_type="text/html")
        if self.statuses:
            headers = {"Retry-After": self.retry_after} if self.retry_after else {}
            return web.Response(status=self.statuses.popleft(), headers=headers)
        path = request.path
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/main", path):
            return self._guarded(request, match[1]) or web.json_response(
                {"id": match[1], "sha": self.repos[match[1]].commit, "private": False}
            )
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([0-9a-f]{40})", path):
            return self._guarded(request, match[1]) or self._tree(request, match[1], match[2])
        if match := re.fullmatch(r"/api/resolve-cache/([^/]+/[^/]+)/([0-9a-f]{40})/(.+)", path):
            return self._guarded(request, match[1]) or await self._content(
                request, match[3], self.repos[match[1]].files[match[3]]
            )
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([0-9a-f]{40})/(.+)", path):
            return self._guarded(request, match[1]) or self._resolve(request, *match.groups())
        self.violations.append(f"asked for {path}")
        return web.Response(status=404)

    def _guarded(self, request: web.Request, name: str) -> web.Response | None:
        repo = self.repos.get(name)
        if repo is None:
            return web.json_response({"error": "Repository not found"}, status=404)
        if "Cookie" in request.headers or self.token in str(request.url):
            self.violations.append("a cookie, or the token in the address")
        shown = request.headers.get("Authorization")
        if shown is not None and shown != f"Bearer {self.token}":
            return web.json_response({"error": f"Invalid token {shown}"}, status=401)
        if repo.gated and "/tree/" not in request.path and "/revision/" not in request.path:
            if shown is None:
                return web.Response(status=401, headers={"X-Error-Code": "GatedRepo"})
            if not self.terms_accepted:
                return web.Response(status=403, headers={"X-Error-Code": "GatedRepo"})
        return None

    def _tree(self, request: web.Request, name: str, revision: str) -> web.Response:
        if request.query.get("recursive") != "1" or revision != self.repos[name].commit:
            self.violations.append(f"asked for the tree as {request.rel_url}")
        files = sorted(self.repos[name].files.items())
        start = int(request.query.get("cursor", "0"))
        entries: list[dict[str, Any]] = [
            {"type": "directory", "oid": "0" * 40, "size": 0, "path": "tokenizer"}
        ]
        entries += [_entry(path, content) for path, content in files[start : start + PAGE_FILES]]
        headers = {}
        if start + PAGE_FILES < len(files):
            following = f"{self.url}{request.path}?recursive=1&cursor={start + PAGE_FILES}"
            headers["Link"] = f'<{following}>; rel="next"'
        else:
            entries += self.listed_besides
        return web.json_response(entries, headers=headers)

    def _resolve(self, request: web.Request, name: str, commit: str, path: str) -> web.Response:
        if request.headers.get("Accept-Encoding") != "identity":
            self.violations.append(f"{path} was asked for compressed")
        content = self.repos[name].files.get(path)
        if content is None or commit != self.repos[name].commit:
            return web.Response(status=404)
        if not _is_large(path):
            target = f"/api/resolve-cache/{name}/{commit}/{path}"
            return web.Response(status=307, headers={"Location": target})
        sha256 = hashlib.sha256(content).hexdigest()
        target = f"http://127.0.0.1:{self.cdn_port}/blobs/{sha256}?name={path}&sig=a%2Fb%3D"
        return web.Response(status=302, headers={"Location": target})

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        if "Authorization" in request.headers or "Cookie" in request.headers:
            self.violations.append("the other server saw a token")
        if "sig=a%2Fb%3D" not in request.raw_path:
            self.violations.append("a signed address was written anew")
        path = request.query["name"]
        for repo in self.repos.values():
            content = repo.files.get(path, b"")
            if hashlib.sha256(content).hexdigest() == request.match_info["sha256"]:
                return await self._content(request, path, content)
        return web.Response(status=404)

    async def _content(self, request: web.Request, path: str, content: bytes) -> web.StreamResponse:
        self.asked[path] += 1
        content = self.falsified.get(path, content)
        etag = next(self.etags) if self.etags and path in self.cuts else self.etag
        etag = etag or f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        start, status = 0, 200
        headers = {"ETag": etag, "Accept-Ranges": "bytes"}
        if wanted := request.headers.get("Range"):
            condition = request.headers.get("If-Range")
            self.ranges.append((path, wanted, condition))
            match = re.fullmatch(r"bytes=(\d+)-", wanted)
            assert match is not None, wanted
            if condition is None or condition == etag:
                start, status = int(match[1]), 206
                if start >= len(content):
                    return web.Response(status=416)
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(content) - start
        await response.prepare(request)
        cut = self.cuts.get(path)
        end = min(len(content), start + cut.popleft()) if cut else len(content)
        await response.write(content[start:end])
        self.sent_bytes += end - start
        if end < len(content):
            assert request.transport is not None
            request.transport.close()
        else:
            await response.write_eof()
        return response


def _is_large(path: str) -> bool:
    return path.endswith((".safetensors", ".onnx", ".onnx_data"))


def _entry(path: str, content: bytes) -> dict[str, Any]:
    if _is_large(path):
        pointer = hashlib.sha1(b"pointer " + content, usedforsecurity=False).hexdigest()
        sha256 = hashlib.sha256(content).hexdigest()
        return {
            "type": "file",
            "oid": pointer,
            "size": len(content),
            "path": path,
            "lfs": {"oid": sha256, "size": len(content), "pointerSize": 134},
            "xetHash": sha256,
        }
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return {"type": "file", "oid": blob.hexdigest(), "size": len(content), "path": path}
