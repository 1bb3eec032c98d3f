"""A real browser (Chromium, through Playwright) on real servers; skipped, with the reason, where either is missing.

All tests that use a server are in one file: so pytest-xdist, which deals files out (--dist=loadscope), starts each once.

Screenshots go to the folder that TOYKIT_SCREENSHOTS names, or pytest's temporary one.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
#: For waits in a page, in ms, and for a server, in s: a busy machine with two cores is the usual case.
PATIENCE, STARTING = 120_000, 180
WINDOW = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])  # root has no sandbox
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def visit(chromium):
    """visit(): a new page, with the list of what went wrong on it: errors, and requests to other machines."""

    def new():
        context = chromium.new_context(viewport=WINDOW, accept_downloads=True)
        page, wrong = context.new_page(), []
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda m: wrong.append(f"console: {m.text}") if m.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(f"page: {error}"))
        page.on("request", lambda r: wrong.append(f"request: {r.url}") if _foreign(r.url) else None)
        return page, wrong

    return new


def _foreign(url: str) -> bool:
    return url.startswith(("http", "ws")) and "//127.0.0.1:" not in url


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory):
    """The folder for pictures of what was seen."""
    named = os.environ.get("TOYKIT_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """serve(arguments, port): start `python -m ...`, wait until it listens; ended with the module.

    Returns the process and its output until then.
    """
    started = []
    own = tmp_path_factory.mktemp("jupyter")
    folders = {f"JUPYTER_{kind}_DIR": str(own / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    folders |= {f"JUPYTERLAB_{kind}_DIR": str(own / kind) for kind in ("SETTINGS", "WORKSPACES")}
    environment = os.environ | folders | {"IPYTHONDIR": str(own / "ipython"), "PYTHONPATH": str(ROOT)}
    news = own / "SETTINGS" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false", "checkForUpdates": false, "doNotDisturbMode": true}')
    cells = own / "SETTINGS" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    cells.parent.mkdir(parents=True)
    cells.write_text('{"windowingMode": "none"}')  # all cells are in the page, whether one sees them or not

    def start(arguments: list[str], port: int) -> tuple[subprocess.Popen, str]:
        log = (own / f"{len(started)}.log").open("w+")
        command = [sys.executable, "-m", *arguments]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        started.append((process, log))
        end = time.monotonic() + STARTING
        while time.monotonic() < end and process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", port)):
                    return process, Path(log.name).read_text()
            except OSError:
                time.sleep(0.2)
        log.seek(0)
        return pytest.fail(f"{' '.join(command)}: does not serve\n{log.read()[-2000:]}")

    yield start
    for process, log in started:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()


@pytest.fixture(scope="module")
def opened(serve, visit):
    """The dashboard, served by its own command and opened by a link, in a page that all tests of a module share.

    With what went wrong on it, and the state that the link opened: title, label and prediction.
    """
    port = free_port()
    _, said = serve(["toykit", "dashboard", "--no-browser", "--port", str(port)], port)
    page, wrong = visit()
    page.goto(address(said) + "#tab=crossEntropies&label=0.25&prediction=0.5")
    page.locator(".toykit-live .controls").wait_for()
    page.wait_for_function("() => location.hash.includes('&') && document.querySelector('.toykit-live td')")
    values = [page.locator(".toykit-live input").nth(k).input_value() for k in range(2)]
    return page, wrong, [page.title(), *values]


@pytest.fixture
def dashboard(opened):
    """The dashboard's page, in a window of the usual size; a test fails for what goes wrong on it meanwhile."""
    page, wrong, _ = opened
    page.set_viewport_size(WINDOW)
    yield page
    assert not wrong


@pytest.fixture(scope="module")
def lab(serve, tmp_path_factory):
    """JupyterLab's address and the folder that it serves."""
    port, folder = free_port(), tmp_path_factory.mktemp("lab")
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    options += ["--IdentityProvider.token=", f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True"]
    serve(["jupyterlab", *options], port)
    return f"http://127.0.0.1:{port}", folder


@pytest.fixture
def page(visit):
    """A page of its own, closed after the test, which fails for what went wrong on it."""
    page, wrong = visit()
    yield page
    page.context.close()
    assert not wrong


def address(said: str) -> str:
    """The address that a command printed, with its token."""
    return re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", said).group()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
