"""The command `toykit run`: execute the course's notebooks."""

import sys
from pathlib import Path

import click

from toykit._shared.files import check_writable
from toykit.cli.kernels import let_waiting_threads_sleep


@click.command()
@click.argument("notebooks", nargs=-1, metavar="[NOTEBOOK]...")
@click.option("-p", "given", nargs=2, multiple=True, metavar="NAME VALUE", help="Set a parameter (repeatable).")
@click.option("--full", is_flag=True, help="Run at full size instead of the small default size.")
@click.option("-o", "output", type=click.Path(file_okay=False, path_type=Path), default="executed", show_default=True,
              help="Folder for executed notebooks and metrics.json.")  # fmt: skip
@click.option("--in-place", is_flag=True, help="Also store the outputs in the notebooks themselves (for maintainers).")
@click.option("--list", "only_list", is_flag=True, help="List the notebooks with their parameters and run nothing.")
def run(
    notebooks: tuple[str, ...],
    given: tuple[tuple[str, str], ...],
    full: bool,
    output: Path,
    in_place: bool,
    only_list: bool,
) -> None:
    """Run the course's notebooks without a browser, all of them by default.

    NOTEBOOK is a name (04_random_walker), a number (04) or a file. If a notebook fails, its partial output is kept, the
    others still run, and the exit code is 1. `toykit site --executed FOLDER` makes pages of the results.
    """
    from toykit.course import notebooks as course
    from toykit.course import runner

    try:
        paths = course.find(notebooks)
        if only_list and (given or full or in_place):
            raise ValueError("--list runs nothing; leave -p, --full and --in-place out")
        if len({name for name, _ in given}) < len(given):
            raise ValueError(f"-p: a parameter is given twice in {', '.join(name for name, _ in given)}")
        if only_list:
            for path in paths:
                defaults = ", ".join(f"{name}={value!r}" for name, value in course.parameters(path).items())
                click.echo(f"{path.stem}: {defaults}")
            return
        if in_place and (given or full):
            raise ValueError("--in-place stores the default run; leave -p and --full out")
        plans = course.plan(paths, dict(given), full)
        check_writable(output)
        output.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from error
    let_waiting_threads_sleep()
    results = runner.run(paths, plans, output, in_place=in_place)
    click.echo(runner.format_runs(results))
    click.echo(f"\nexecuted notebooks and metrics.json: {output}")
    sys.exit(any(r.status != "ok" for r in results))
