"""The command line. Each command has its own module here; libraries that only one command needs are imported in it."""

import sys

try:
    import click
except ImportError:
    sys.exit("toykit's command line needs the notebooks extra: pip install 'toykit[notebooks]'")

from toykit import __version__
from toykit.cli.dashboard import dashboard
from toykit.cli.data import data
from toykit.cli.evaluate import evaluate
from toykit.cli.paint import paint
from toykit.cli.predict import predict
from toykit.cli.run import run
from toykit.cli.segment import segment
from toykit.cli.site import site
from toykit.cli.sweep import sweep
from toykit.cli.train import train


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="toykit")
def main() -> None:
    """Soft self-labelling and Potts relaxations for weakly-supervised segmentation."""


for command in (dashboard, data, evaluate, paint, predict, run, segment, site, sweep, train):
    main.add_command(command)
