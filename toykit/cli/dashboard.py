"""The command `toykit dashboard`: serve the explorers and the scribble painter with Voila."""

import click

from toykit.cli.voila_server import no_token_option, serve


@click.command(short_help="Open explorers and painter in a browser.")
@click.option("--port", type=click.IntRange(1, 65535), default=8866, show_default=True, help="Port on this machine.")
@click.option("--no-browser", is_flag=True, help="Serve without opening a browser; the address is printed.")
@no_token_option
def dashboard(port: int, no_browser: bool, no_token: bool) -> None:
    """Serve the explorers and the scribble painter as one page without code, to this machine only, until interrupted."""
    from toykit.explore.dashboard import NOTEBOOK

    serve("toykit dashboard", NOTEBOOK, port, no_browser, no_token)
