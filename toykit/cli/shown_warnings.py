"""Show the warnings about seeds as lines of a command's output, instead of Python's two lines with a place in the code."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import click

from toykit.supervision import SeedWarning


@contextmanager
def shown_warnings() -> Iterator[None]:
    """Write each `SeedWarning` to the standard error output, as "Warning: ..."; others as before."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", SeedWarning)
        usual = warnings.showwarning

        def show(message, category, *rest, **more):
            if issubclass(category, SeedWarning):
                click.echo(f"Warning: {message}", err=True)
            else:
                usual(message, category, *rest, **more)

        warnings.showwarning = show
        yield
