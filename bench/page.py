"""What the page costs: how soon it is seen, and what open pages take; see README.md.

python -m bench.page [--quick] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.table import Table

from bench.decode import busy_share
from tests.integration.browser import Tab, chromium

CAMERAS = 16
EVENTS = 10_000
PAGES = 20
GOALS = {"first_paint_ms": "<= 300", "pages_20_core_share": "<= 0.10"}
PATHS = {
    "wall": "/",
    "camera": "/cameras/camera-03",
    "events": "/events",
    "status": "/status",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """The service measured, in a process of its own."""

    process: asyncio.subprocess.Process
    url: str

    async def used(self) -> dict[str, Any]:
        """Return what it has used so far."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        await self.process.stdin.drain()
        return await _line(self.process)


@asynccontextmanager
async def subject() -> AsyncIterator[Subject]:
    """Run it for as long as the block lasts."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.page_subject",
        f"--cameras={CAMERAS}",
        f"--events={EVENTS}",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        said = await _line(process)
        yield Subject(process, f"http://127.0.0.1:{said['port']}")
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise SystemExit("the service ended; see its words above")
    found: dict[str, Any] = json.loads(line)
    return found


async def core_share(it: Subject, seconds: float) -> float:
    """Return the share of one core that the service takes."""
    before, began_seconds = await it.used(), time.monotonic()
    await asyncio.sleep(seconds)
    after, ended_seconds = await it.used(), time.monotonic()
    used: float = after["cpu_seconds"] - before["cpu_seconds"]
    return used / (ended_seconds - began_seconds)


async def open_pages(it: Subject, count: int, seconds: float) -> dict[str, float]:
    """Have so many walls open, and return what they take more than none, and get."""
    alone = await core_share(it, seconds)
    received = 0
    pictures = 0

    async def listen(http: aiohttp.ClientSession) -> None:
        nonlocal received, pictures
        async with http.get(f"{it.url}/live?view=wall") as answer:
            async for chunk in answer.content.iter_any():
                received += len(chunk)
                pictures += chunk.count(b"event: picture")

    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=count)
    async with (
        aiohttp.ClientSession(timeout=timeout, connector=connector, read_bufsize=2**20) as http,
        asyncio.TaskGroup() as tasks,
    ):
        listening = [tasks.create_task(listen(http)) for _ in range(count)]
        await asyncio.sleep(3.0)
        received = pictures = 0
        together = await core_share(it, seconds)
        figures = {
            "alone_core_share": alone,
            f"pages_{count}_core_share": together - alone,
            f"pages_{count}_bytes_per_second_each": received / seconds / count,
            f"pages_{count}_pictures_per_second_each": pictures / seconds / count,
            f"pages_{count}_pictures_dropped": float((await it.used())["pictures_dropped"]),
        }
        for one in listening:
            one.cancel()
    return figures


async def by_request(it: Subject, count: int, seconds: float) -> dict[str, float]:
    """Return what the same pictures would take if each page asked for each of them."""
    alone = await core_share(it, seconds)
    fetched = 0

    async def ask(http: aiohttp.ClientSession) -> None:
        nonlocal fetched
        while True:
            began_seconds = time.monotonic()
            for number in range(CAMERAS):
                path = f"/cameras/camera-{number:02d}/picture.jpg"
                async with http.get(it.url + path) as answer:
                    await answer.read()
                    fetched += 1
            await asyncio.sleep(max(0.0, began_seconds + 1.0 - time.monotonic()))

    connector = aiohttp.TCPConnector(limit=count)
    async with aiohttp.ClientSession(connector=connector) as http, asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(ask(http)) for _ in range(count)]
        await asyncio.sleep(2.0)
        fetched = 0
        together = await core_share(it, seconds)
        rate = fetched / seconds / count
        for one in asking:
            one.cancel()
    return {
        f"by_request_{count}_core_share": together - alone,
        f"by_request_{count}_pictures_per_second_each": rate,
    }


async def answers_ms(it: Subject, rounds: int) -> dict[str, float]:
    """Return how long the service takes for each page, medians."""
    figures = {}
    async with aiohttp.ClientSession() as http:
        for name, path in PATHS.items():
            took = []
            for _ in range(rounds):
                began_seconds = time.monotonic()
                async with http.get(it.url + path) as answer:
                    await answer.read()
                    answer.raise_for_status()
                took.append(1000 * (time.monotonic() - began_seconds))
            figures[f"answer_{name}_ms"] = statistics.median(took)
    return figures


async def paints_ms(it: Subject, rounds: int) -> dict[str, float]:
    """Return when the browser first paints something of the wall, from the click on; median."""
    paints: list[float] = []
    walls: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        async with chromium(Path(folder)) as tab:
            await tab.look(width=1280, height=900, dark=False)
            for _ in range(rounds + 1):
                paints.append(await _paint_ms(tab, f"{it.url}/"))
                walls.append(
                    await tab.js("performance.getEntriesByType('navigation')[0].responseEnd")
                )
                bare.append(await _paint_ms(tab, f"{it.url}/login"))
    # The first page also starts the browser's own parts
    return {
        "first_paint_ms": statistics.median(paints[1:]),
        "first_paint_worst_ms": max(paints[1:]),
        "first_paint_bare_ms": statistics.median(bare[1:]),
        "wall_received_ms": statistics.median(walls[1:]),
    }


async def _paint_ms(tab: Tab, url: str) -> float:
    """Return the time from going to an address, with nothing of it cached, to the first paint."""
    await tab.call("Network.clearBrowserCache")
    await tab.open("about:blank")
    await tab.open(url)
    await tab.until("performance.getEntriesByName('first-contentful-paint').length")
    painted: float = await tab.js(
        "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    )
    return painted


async def measure(*, quick: bool) -> dict[str, float]:
    """Measure everything, one after the other."""
    figures: dict[str, float] = {"machine_busy_share": busy_share()}
    async with subject() as it:
        await asyncio.sleep(2.0)
        seconds = 5.0 if quick else 20.0
        parts = [
            ("answers", partial(answers_ms, it, 5 if quick else 30)),
            ("first paint", partial(paints_ms, it, 3 if quick else 11)),
            ("open pages", partial(open_pages, it, PAGES, seconds)),
        ]
        if not quick:
            parts.append(("pictures by request", partial(by_request, it, PAGES, seconds)))
        for name, part in parts:
            print(f"bench.page: {name}", file=sys.stderr, flush=True)
            figures |= await part()
        figures["memory_mb"] = (await it.used())["memory_bytes"] / 1e6
    return {name: round(value, 4) for name, value in figures.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench.page", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="rough figures, within 40 s")
    parser.add_argument("--json", action="store_true", help="print one flat object")
    options = parser.parse_args(argv)
    figures = asyncio.run(measure(quick=options.quick))
    if options.json:
        print(json.dumps(figures, allow_nan=False))
    else:
        table = Table("figure", "value", "goal")
        for name, value in figures.items():
            table.add_row(name, f"{value:g}", GOALS.get(name, ""))
        Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
