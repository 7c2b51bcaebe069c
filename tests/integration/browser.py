"""A real Chromium, driven over its DevTools protocol: pages, clicks, requests, the console.

Source of the protocol: https://chromedevtools.github.io/devtools-protocol/ (stable domains).
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS = 40.0
CALL_SECONDS = 40.0
WAIT_SECONDS = 40.0
STEP_SECONDS = 0.1
_MOST_MESSAGE_BYTES = 64_000_000


@dataclass
class Tab:
    """One page of the browser."""

    socket: aiohttp.ClientWebSocketResponse
    console: list[str] = field(default_factory=list)
    """Errors and warnings, as a developer would see them."""
    requests: list[str] = field(default_factory=list)
    """The address of each request."""
    _number: int = 0
    _answers: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol."""
        self._number += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[self._number] = answer
        await self.socket.send_json({"id": self._number, "method": method, "params": parameters})
        async with asyncio.timeout(CALL_SECONDS):
            return await answer

    async def open(self, url: str) -> None:
        """Go to an address and wait until its document is there."""
        await self.call("Page.navigate", url=url)
        await self.until(
            f"location.href === {json.dumps(url)} && document.readyState === 'complete'"
        )

    async def js(self, expression: str) -> Any:
        """Return the value of an expression, awaited if it is a promise."""
        answer = await self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def until(self, expression: str, *, seconds: float = WAIT_SECONDS) -> None:
        """Wait until an expression is true; a page on its way elsewhere is asked again."""
        last: object = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        last = await self.js(f"(async () => Boolean({expression}))()")
                        if last:
                            return
                    except AssertionError as error:
                        last = error
                    await asyncio.sleep(STEP_SECONDS)
        except TimeoutError:
            body = await self.js("document.body.innerText")
            raise AssertionError(
                f"not in {seconds:g} s: {expression} (last: {last}); {self.console}\n{body[:3000]}"
            ) from None

    async def click(self, selector: str) -> None:
        """Click in the middle of an element, as a mouse would."""
        await self.click_at(selector, 0.5, 0.5)

    async def click_at(self, selector: str, x: float, y: float) -> None:
        """Click at shares of an element's width and height."""
        element = f"document.querySelector({json.dumps(selector)})"
        await self.js(f"{element}.scrollIntoView({{block: 'center'}})")
        box = await self.js(f"{element}.getBoundingClientRect().toJSON()")
        at = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
        for kind in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at
            )

    async def look(self, *, width: int, height: int, dark: bool, touch: bool = False) -> None:
        """Have a screen of this size, in the dark or light."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=touch,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def shoot(self, path: Path, *, whole: bool = False, kind: str = "png") -> Path:
        """Take a picture of what is seen, or of the whole page."""
        answer = await self.call("Page.captureScreenshot", format=kind, captureBeyondViewport=whole)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(answer["data"]))
        return path

    @property
    def hosts(self) -> set[str]:
        """Whom requests went to; what the page holds itself goes to nobody."""
        parts = [urlsplit(url) for url in self.requests]
        return {one.netloc for one in parts if one.scheme not in ("data", "blob", "about")}

    async def read(self) -> None:
        """Take in what the browser says until it ends."""
        async for message in self.socket:
            said = json.loads(message.data)
            if "id" in said:
                answer = self._answers.pop(said["id"])
                if "error" in said and not answer.done():
                    answer.set_exception(AssertionError(str(said["error"])))
                elif not answer.done():
                    answer.set_result(said["result"])
            else:
                self._note(said["method"], said["params"])

    def _note(self, method: str, of: dict[str, Any]) -> None:
        match method:
            case "Network.requestWillBeSent":
                self.requests.append(of["request"]["url"])
            case "Runtime.exceptionThrown":
                self.console.append(str(of["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if of["type"] in ("error", "warning", "assert"):
                self.console.append(str(of["args"]))
            case "Log.entryAdded" if of["entry"]["level"] in ("error", "warning"):
                self.console.append(f"{of['entry']['text']} {of['entry'].get('url', '')}")
            case "Inspector.targetCrashed":
                self.console.append("the page crashed")


@asynccontextmanager
async def chromium(folder: Path) -> AsyncIterator[Tab]:
    """Run a browser with one empty page while the block lasts; skip where there is none."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium: apt install chromium")
    profile = folder / "profile"
    process = await asyncio.create_subprocess_exec(
        program,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--mute-audio",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
        "about:blank",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port = await _port(profile / "DevToolsActivePort")
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
                target = next(one for one in await answer.json() if one["type"] == "page")
            async with (
                http.ws_connect(
                    target["webSocketDebuggerUrl"], max_msg_size=_MOST_MESSAGE_BYTES
                ) as socket,
                asyncio.TaskGroup() as tasks,
            ):
                tab = Tab(socket)
                reading = tasks.create_task(tab.read())
                for domain in ("Page", "Runtime", "Network", "Log", "Inspector"):
                    await tab.call(f"{domain}.enable")
                yield tab
                reading.cancel()
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(10.0):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _port(file: Path) -> int:
    """Wait for the port that the browser writes down once it listens there."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            lines = await asyncio.to_thread(_lines, file)
            if lines:
                return int(lines[0])
            await asyncio.sleep(STEP_SECONDS)


def _lines(file: Path) -> list[str]:
    return file.read_text("ascii").split() if file.exists() else []
