"""The command `toykit dashboard`."""

import importlib.util
import os

import click

#: The extensions of JupyterLab that the page needs; others load slowly, or are not made for Voila.
EXTENSIONS = (
    "@jupyter-widgets/jupyterlab-manager",
    "@voila-dashboards/widgets-manager8",
    "anywidget",
    "jupyterlab-plotly",
)


@click.command(short_help="Open explorers and painter in a browser.")
@click.option("--port", type=click.IntRange(1, 65535), default=8866, show_default=True)
@click.option("--no-browser", is_flag=True, help="Only serve; open the address it prints yourself.")
def dashboard(port, no_browser) -> None:
    """Serve the explorers and the scribble painter as one page without code, on this machine only, until interrupted."""
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
    from voila.app import Voila

    click.echo(f"{address} (Ctrl+C ends it)")
    Voila.launch_instance(argv=[str(NOTEBOOK), *arguments])


def _taken(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
