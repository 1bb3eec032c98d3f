"""Serve a notebook of widgets as a page without code, for the commands `dashboard` and `paint`."""

import importlib.util
import os
import secrets
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


no_token_option = click.option(
    "--no-token", is_flag=True, help="Let every user of this machine in; by default only the printed address does."
)


def serve(command: str, notebook: Path, port: int, no_browser: bool, no_token: bool) -> None:
    """Serve a notebook to this machine only, until interrupted; each visit has a kernel of its own.

    Parameters
    ----------
    command : str
        How the user called it, for the message about a port that is in use.
    notebook : Path
    port : int
    no_browser : bool
        Whether to serve without opening a browser.
    no_token : bool
        Whether to serve everybody who reaches the port: all users and programs of this machine.

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
    token = "" if no_token else secrets.token_urlsafe(24)
    address = f"http://127.0.0.1:{port}/" + (f"?token={token}" if token else "")
    os.environ["JUPYTER_PATH"] = os.pathsep.join([str(JUPYTER), *filter(None, [os.environ.get("JUPYTER_PATH")])])
    let_waiting_threads_sleep()
    click.echo(f"{address} (stop it with Ctrl+C)")
    # other names than this machine's are refused: a page of another site could point its own name here, and read ours
    _server(address).launch_instance(
        argv=[str(notebook), *arguments], token=token, tornado_settings={"allow_remote_access": False}
    )


def _server(address: str):
    """Return Voila's application, with the token in the address that it opens."""
    from voila.app import Voila

    class Server(Voila):
        def launch_browser(self) -> None:
            import threading
            import webbrowser

            # through a file that other users cannot read: they can read the browser's command line
            page = Path(self.connection_dir) / "open.html"
            page.write_text(f'<meta http-equiv="refresh" content="0; url={address}"><a href="{address}">{address}</a>')
            # not here: some browsers return when they are closed, and the server starts only after this
            threading.Thread(target=webbrowser.open, args=(page.as_uri(),), daemon=True).start()

    return Server


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
