"""Show the warnings about seeds and checkpoints as lines of a command's output, without their place in the code."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import click

from toykit.supervision import SeedWarning
from toykit.training.checkpoint import CheckpointWarning

#: The categories of warnings for the command's reader, not for its programmer.
SHOWN = (SeedWarning, CheckpointWarning)


@contextmanager
def shown_warnings() -> Iterator[None]:
    """Write each warning of `SHOWN` to the standard error output, as "Warning: ..."; others as before."""
    with warnings.catch_warnings():
        for category in SHOWN:
            warnings.simplefilter("always", category)
        usual = warnings.showwarning

        def show(message, category, *rest, **more):
            if issubclass(category, SHOWN):
                click.echo(f"Warning: {message}", err=True)
            else:
                usual(message, category, *rest, **more)

        warnings.showwarning = show
        yield
