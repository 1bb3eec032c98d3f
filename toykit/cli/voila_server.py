"""Serve a notebook of widgets as a page without code, for the commands `dashboard` and `paint`."""

import importlib.util
import os
from pathlib import Path

import click

from toykit.cli.kernels import let_waiting_threads_sleep

#: JupyterLab extensions that the pages need. Others load slowly or do not work in Voila.
EXTENSIONS = (
    "@jupyter-widgets/jupyterlab-manager",
    "@voila-dashboards/widgets-manager8",
    "anywidget",
    "jupyterlab-plotly",
)


def serve(command: str, notebook: Path, port: int, no_browser: bool) -> None:
    """Serve a notebook to this machine only, until interrupted.

    Parameters
    ----------
    command : str
        How the user called it, for the message about a port that is in use.
    notebook : Path
    port : int
    no_browser : bool
        Whether to serve without opening a browser.

    Raises
    ------
    click.ClickException
        If Voila is missing or the port is in use.
    """
    if importlib.util.find_spec("voila") is None:
        raise click.ClickException("the page is served by voila: pip install voila, or the notebooks extra")
    from toykit.explore.dashboard import JUPYTER

    if _taken(port):
        raise click.ClickException(f"port {port} is in use; take another: {command} --port {port % 65535 + 1}")
    arguments = ["--template=toykit", "--Voila.ip=127.0.0.1", f"--port={port}", "--Voila.port_retries=0"]
    arguments += [f"--VoilaConfiguration.extension_allowlist={name}" for name in EXTENSIONS]
    arguments += ["--no-browser"] if no_browser else []
    os.environ["JUPYTER_PATH"] = os.pathsep.join([str(JUPYTER), *filter(None, [os.environ.get("JUPYTER_PATH")])])
    let_waiting_threads_sleep()
    from voila.app import Voila

    click.echo(f"http://127.0.0.1:{port}/ (stop it with Ctrl+C)")
    Voila.launch_instance(argv=[str(notebook), *arguments])


def _taken(port: int) -> bool:
    """Return whether another program listens on the port."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
