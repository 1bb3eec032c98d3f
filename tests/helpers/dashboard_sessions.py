"""Many visitors of one dashboard: memory and times. `python tests/helpers/dashboard_sessions.py 10` prints them.

Each visit has a kernel of its own. Times are to the painter's whole first picture, and from the end of a stroke to the changed
picture: while the other visitors rest, and when all paint at once. Memory is the proportional set size, in which what processes
share is divided among them. Nothing is asserted: other programs on the machine change the numbers.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from playwright.sync_api import sync_playwright

sys.path.append(str(Path(__file__).parents[1] / "browser"))
from conftest import CHROMIUM, PATIENCE, address, free_port
from painter_page import WATCH, Painter

STROKE = ((0.2, 0.7), (0.3, 0.75))


def megabytes(processes):
    """Return the proportional set size of each process."""
    return [process.memory_full_info().pss / 1e6 for process in processes]


def visit(browser, url):
    """Open the dashboard's painter as a new visitor; return it and the seconds until its picture is whole."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(5 * PATIENCE)
    begin = time.monotonic()
    page.goto(url)
    page.get_by_role("tab", name="Painter").click()
    painter = Painter(page)
    page.evaluate(WATCH)
    return painter, time.monotonic() - begin


def paint(painters):
    """Paint a stroke in each, then wait for all; return the milliseconds to the pictures."""
    before = [int(painter.root.get_attribute("data-sequence")) for painter in painters]
    for painter in painters:
        painter.drag(*STROKE)
    for painter, number in zip(painters, before, strict=True):
        painter.settle(number)
    return [painter.page.evaluate("window.times.at(-1)") for painter in painters]


def main(visitors):
    """Let the visitors come one after another, and paint."""
    with tempfile.TemporaryFile("w+") as log, sync_playwright() as driver:
        port = free_port()
        command = [sys.executable, "-m", "toykit", "dashboard", "--no-browser", "--port", str(port)]
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until_served(server, port)
            log.seek(0)
            url = address(log.read())
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            painters, seconds = zip(*(visit(browser, url) for _ in range(visitors)), strict=True)
            alone = [paint([painter])[0] for painter in painters]
            together = paint(painters)
            kernels = psutil.Process(server.pid).children(recursive=True)
            own = megabytes(kernels)
            print(f"{visitors} visitors, {len(kernels)} kernels; load {os.getloadavg()[0]:.1f}")
            print(f"first picture: {seconds[0]:.1f} s for the first, {seconds[-1]:.1f} s for the last visitor")
            for name, times in (("others at rest", alone), ("all at once", together)):
                print(f"stroke to picture, {name}: median {np.median(times):.0f} ms, longest {max(times):.0f} ms")
            print(f"memory: server {megabytes([psutil.Process(server.pid)])[0]:.0f} MB, a kernel {np.median(own):.0f} MB "
                  f"(up to {max(own):.0f}), all kernels {sum(own):.0f} MB")  # fmt: skip
            browser.close()
        finally:
            server.terminate()
            server.wait()


def wait_until_served(server, port):
    """Wait until the server listens."""
    while not any(
        own.status == "LISTEN" and own.laddr.port == port for own in psutil.Process(server.pid).net_connections()
    ):
        if server.poll() is not None:
            raise RuntimeError(f"the dashboard ended with status {server.returncode}")
        time.sleep(0.2)


if __name__ == "__main__":
    main(int(sys.argv[1]))
