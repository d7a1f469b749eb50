"""
A real browser: Debian's Chromium, driven over WebDriver's own protocol through its chromedriver.

On a machine without them these tests are skipped. Where KENNEL_REQUIRE_BROWSER is set, as in CI,
that is a failure instead.
"""

import base64
import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import closing

import pytest

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # how WebDriver names an element
START_TIMEOUT_S = 60
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "Right": "\ue014", "End": "\ue010"}
ARGUMENTS = [
    "--headless",
    "--no-sandbox",  # CI's user is root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-proxy-server",
    "--force-prefers-reduced-motion",
    "--window-size=1200,900",
]


class Browser:
    """A session of WebDriver, in as few words as the tests need."""

    def __init__(self, port, options):
        self.port = port
        self.path = ""
        answer = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": options}})
        self.path = f"/session/{answer['sessionId']}"

    def ask(self, method, path, document=None):
        """Send one command; what the driver calls an error is one."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            body = None if document is None else json.dumps(document)
            connection.request(method, self.path + path, body)
            value = json.load(connection.getresponse())["value"]
        if isinstance(value, dict) and "error" in value:
            raise AssertionError(f"{value['error']}: {value['message']}")
        return value

    def open(self, path):
        """Load a file, and forget what the page before it said."""
        self.said()
        self.ask("POST", "/url", {"url": path.as_uri()})

    def run(self, script, *arguments):
        """Return what a script in the page returns."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": arguments})

    def command(self, name, **parameters):
        """Send a command of Chromium's own protocol."""
        return self.ask("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def find(self, selector):
        """Return an element, in the form in which a command takes it."""
        return self.ask("POST", "/element", {"using": "css selector", "value": selector})

    def press(self, *names):
        """Press keys, one after another, wherever the focus is."""
        actions = [
            {"type": kind, "value": KEYS.get(name, name)}
            for name in names
            for kind in ("keyDown", "keyUp")
        ]
        self.ask(
            "POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]}
        )

    def tabbed(self):
        """Press Tab until all controls had their turn; return each one's place and name."""
        seen = []
        for _ in range(self.run("return document.querySelectorAll('[tabindex], button').length")):
            self.press("Tab")
            seen.append(
                self.run("""
                    const all = [...document.querySelectorAll('*')];
                    const at = document.activeElement;
                    return [all.indexOf(at), at.ariaLabel ?? at.textContent];
                """)
            )
        return seen

    def point(self, x, y):
        """Move the mouse to a place of the window, in CSS pixels."""
        move = {"type": "pointerMove", "x": round(x), "y": round(y), "duration": 0}
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}}
        self.ask("POST", "/actions", {"actions": [{**mouse, "actions": [move]}]})

    def size(self, width, height=900):
        """Give the page a window of this size, narrower than a desktop's window can be."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 500,
        )  # fmt: skip

    def media(self, medium="", scheme="light"):
        """Show the page as on paper, or in another scheme of colours."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", media=medium, features=features)

    def said(self):
        """Return what the browser's console has said since it was asked last."""
        entries = self.ask("POST", "/se/log", {"type": "browser"})
        return [f"{entry['level']}: {entry['message']}" for entry in entries]

    def screenshot(self):
        """Return a picture of the whole page as PNG."""
        answer = self.command("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def close(self):
        """End the browser."""
        self.ask("DELETE", "")


def missing(reason):
    """Skip, or fail where nothing may be missing."""
    if os.environ.get("KENNEL_REQUIRE_BROWSER"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    """Run chromedriver; return its port."""
    program = shutil.which("chromedriver")
    if program is None or shutil.which("chromium") is None:
        missing("no chromium with chromedriver: apt-get install chromium chromium-driver")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("driver")
    # A home of its own: caches and crash reports would go to the user's.
    environment = {**os.environ, "HOME": str(folder), "TMPDIR": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - Debian's own program
            [program, f"--port={port}"], stdout=log, stderr=log, env=environment
        )
        try:
            wait_for(port, process, folder / "log")
            yield port
        finally:
            process.terminate()
            process.wait(30)


def wait_for(port, process, log):
    """Return when something listens on *port*."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        with socket.socket() as trying:
            if trying.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            missing(f"chromedriver does not start: {log.read_text(errors='replace')}")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def chromium(driver, tmp_path_factory):
    """Return a browser with a fresh profile."""
    profile = tmp_path_factory.mktemp("profile")
    options = {
        "goog:chromeOptions": {
            "binary": shutil.which("chromium"),
            "args": [*ARGUMENTS, f"--user-data-dir={profile}"],
        },
        "goog:loggingPrefs": {"browser": "ALL"},
    }
    browser = Browser(driver, options)
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium):
    """Return the browser with a desktop's window, light, and scripts allowed."""
    chromium.size(1200)
    chromium.media()
    chromium.command("Emulation.setScriptExecutionDisabled", value=False)
    return chromium


@pytest.fixture
def look_over():
    """
    Return ``look_over(browser, width)``: what holds of every page in a window of this width.

    The console said nothing, not even of the policy; no resource was loaded; nothing is wider than
    the window but what scrolls in its own box; ticks of an axis leave room between each other.
    """

    def check(browser, width):
        assert browser.said() == []
        assert browser.run("return performance.getEntriesByType('resource').length") == 0
        assert browser.run("return document.documentElement.scrollWidth") <= width
        assert browser.run(WIDE) == []
        assert min(browser.run(GAPS), default=2) > 1

    return check


WIDE = """
    const wide = (e) => e.getBoundingClientRect().right > innerWidth && !e.closest('.scroll');
    const said = (e) => e.outerHTML.slice(0, 300);
    return [...document.querySelectorAll('main *')].filter(wide).map(said);
"""
GAPS = """
    return [...document.querySelectorAll('.plot')].flatMap((plot) => {
        const boxes = [...plot.querySelectorAll('text.x')].map((t) => t.getBoundingClientRect());
        return boxes.slice(1).map((box, i) => box.left - boxes[i].right);
    });
"""
