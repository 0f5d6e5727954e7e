"""A headless Chromium that tests open pages in, over its own DevTools protocol; no driver, no network.

It is a program of the system (Debian: apt install chromium). Where it is missing a test is skipped loudly, or fails
where EASEL_REQUIRE_CHROMIUM says that it must be there.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-port=0",
)  # fmt: skip
PATIENCE = 60.0


def found() -> str:
    """The program; without one the test is skipped, or fails where it is required."""
    program = next((path for path in map(shutil.which, NAMES) if path), None)
    if program is None:
        if os.environ.get("EASEL_REQUIRE_CHROMIUM"):
            pytest.fail("no Chromium here, and EASEL_REQUIRE_CHROMIUM is set; on Debian: apt install chromium")
        pytest.skip("needs Chromium to look at the report; on Debian: apt install chromium")
    return program


class Page:
    """One tab: what it said on its console, what it asked a network for, and what a person does in it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, loop: asyncio.AbstractEventLoop) -> None:
        self.socket, self.loop = socket, loop
        self.number = 0
        self.said: list[str] = []
        """Errors and warnings of the console, uncaught exceptions, broken policies."""
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)  # as in a window that somebody looks at

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol, and its result."""
        return self.loop.run_until_complete(asyncio.wait_for(self._call(method, params), PATIENCE))

    async def _call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self.number += 1
        await self.socket.send_json({"id": self.number, "method": method, "params": params})
        while True:
            message = await self.socket.receive_json()
            if message.get("id") == self.number:
                assert "error" not in message, (method, message["error"])
                return dict(message["result"])
            self._heard(message)

    def _heard(self, event: dict[str, Any]) -> None:
        kind, params = event.get("method"), event.get("params", {})
        if kind == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif kind == "Runtime.exceptionThrown":
            self.said.append(str(params["exceptionDetails"]))
        elif kind == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.said.append(str(params["args"]))
        elif kind == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.said.append(params["entry"]["text"])

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise's once it has one."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def look(self, *, width: int, height: int = 900, dark: bool = False, still: bool = False) -> None:
        """A window of this size in this scheme, by a person who may not want motion."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )  # fmt: skip
        features = {"prefers-color-scheme": "dark" if dark else "light"}
        features["prefers-reduced-motion"] = "reduce" if still else "no-preference"
        media = [{"name": name, "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=media)

    def open(self, path: Path) -> None:
        """A file, once all of it is there."""
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.until("document.readyState === 'complete' && location.protocol === 'file:'")

    def open_without_script(self, path: Path) -> None:
        """A file in a tab whose scripts are off: there is nobody to ask whether it is there."""
        self.call("Page.navigate", url=path.resolve().as_uri())
        time.sleep(1)

    def widths(self, selector: str) -> list[float]:
        """Of every element that is found, in pixels; asked again while the page is still being put together."""
        ended = time.monotonic() + PATIENCE
        while True:
            found = self.call("DOM.getDocument", depth=0)["root"]["nodeId"]
            nodes = self.call("DOM.querySelectorAll", nodeId=found, selector=selector)["nodeIds"]
            try:
                return [self.call("DOM.getBoxModel", nodeId=node)["model"]["width"] for node in nodes]
            except AssertionError:  # a node is gone with the document that it was of
                if time.monotonic() > ended:
                    raise
                time.sleep(0.5)

    def until(self, script: str) -> None:
        """Wait until an expression is true."""
        ended = time.monotonic() + PATIENCE
        while not self.run(script):
            assert time.monotonic() < ended, f"never true: {script}"
            time.sleep(0.02)

    def press(self, key: str) -> None:
        """A key, where the focus is."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key], **more)

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """A screenshot, of the whole page unless the window is enough."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole, **(self._all() if whole else {}))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _all(self) -> dict[str, Any]:
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1}}


KEYS = {"Enter": 13, " ": 32, "Tab": 9, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}


@contextlib.contextmanager
def page() -> Iterator[Page]:
    """A tab of a fresh browser with an empty profile; both are gone at the end."""
    program = found()
    with tempfile.TemporaryDirectory(prefix="easel-chromium-", ignore_cleanup_errors=True) as profile:
        words = [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            loop = asyncio.new_event_loop()
            try:
                yield from _tab(loop, Path(profile) / "DevToolsActivePort")
            finally:
                loop.close()
                browser.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    browser.wait(10)
                browser.kill()


def _tab(loop: asyncio.AbstractEventLoop, note: Path) -> Iterator[Page]:
    """Connected to the first tab, whose port the browser writes into its profile."""
    ended = time.monotonic() + PATIENCE
    while not note.exists() or len(note.read_text().split()) < 2:
        assert time.monotonic() < ended, "Chromium did not start"
        time.sleep(0.05)
    port = int(note.read_text().split()[0])

    import aiohttp

    async def connect() -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse]:
        session = aiohttp.ClientSession()
        async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
            (tab, *_) = [item for item in await answer.json() if item["type"] == "page"]
        return session, await session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0)

    session, socket = loop.run_until_complete(connect())
    try:
        yield Page(socket, loop)
    finally:
        loop.run_until_complete(socket.close())
        loop.run_until_complete(session.close())
