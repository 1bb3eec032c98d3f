"""The command `toykit site`: build the course, the reference and the how-to pages as static pages."""

from pathlib import Path

import click

from toykit._shared.files import check_writable


@click.command()
@click.option("-o", "output", type=click.Path(file_okay=False, path_type=Path), default="site", show_default=True,
              help="Folder of the pages; an earlier site there is replaced.")  # fmt: skip
@click.option("--executed", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Folder of `toykit run`: show its notebooks, and how each run ended. Only your own: outputs keep "
              "their scripts.  [default: as stored]")  # fmt: skip
def site(output: Path, executed: Path | None) -> None:
    """Build the site: course, how-to pages, reference and gallery.

    The pages open from the disk, start with index.html, and load nothing from the network. Notebooks are shown with their
    stored outputs and are not executed. Warnings, such as a link without a target, are errors.
    """
    try:
        import furo  # noqa: F401
        import myst_nb  # noqa: F401
        import sphinx  # noqa: F401
    except ImportError as error:
        raise click.UsageError(f"{error}; toykit site needs the site extra: pip install -e '.[site]'") from error
    from toykit.course.site.build import build

    try:
        check_writable(output)
        build(output, executed)
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from error
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    click.echo(f"{output / 'index.html'}: {size / 1e6:.1f} MB")
