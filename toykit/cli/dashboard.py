"""The command `toykit dashboard`: serve the explorers and the scribble painter with Voila."""

import importlib.util
import os

import click

from toykit.cli.kernels import let_waiting_threads_sleep

#: JupyterLab extensions that the page needs. Others load slowly or do not work in Voila.
EXTENSIONS = (
    "@jupyter-widgets/jupyterlab-manager",
    "@voila-dashboards/widgets-manager8",
    "anywidget",
    "jupyterlab-plotly",
)


@click.command(short_help="Open explorers and painter in a browser.")
@click.option("--port", type=click.IntRange(1, 65535), default=8866, show_default=True, help="Port on this machine.")
@click.option("--no-browser", is_flag=True, help="Serve without opening a browser; the address is printed.")
def dashboard(port: int, no_browser: bool) -> None:
    """Serve the explorers and the scribble painter as one page without code, to this machine only, until interrupted."""
    if importlib.util.find_spec("voila") is None:
        raise click.ClickException("the dashboard is served by voila: pip install voila, or the notebooks extra")
    from toykit.explore.dashboard import JUPYTER, NOTEBOOK

    address = f"http://127.0.0.1:{port}/"
    if _taken(port):
        raise click.ClickException(f"port {port} is in use; take another: toykit dashboard --port {port % 65535 + 1}")
    arguments = ["--template=toykit", "--Voila.ip=127.0.0.1", f"--port={port}", "--Voila.port_retries=0"]
    arguments += [f"--VoilaConfiguration.extension_allowlist={name}" for name in EXTENSIONS]
    arguments += ["--no-browser"] if no_browser else []
    os.environ["JUPYTER_PATH"] = os.pathsep.join([str(JUPYTER), *filter(None, [os.environ.get("JUPYTER_PATH")])])
    let_waiting_threads_sleep()
    from voila.app import Voila

    click.echo(f"{address} (stop it with Ctrl+C)")
    Voila.launch_instance(argv=[str(NOTEBOOK), *arguments])


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
