"""The command `toykit paint`: paint scribbles on the photos of a folder, in a browser."""

from pathlib import Path

import click

from toykit.cli.voila_server import no_token_option, serve


@click.command(short_help="Paint scribbles on a folder of photos.")
@click.argument("folder", metavar="FOLDER|PHOTO", type=click.Path(exists=True, path_type=Path))
@click.option("--classes", metavar="NAME,NAME,...",
              help="Class names by id, one list for all photos.  [default: classes.txt, else background,object]")  # fmt: skip
@click.option("--long-side", type=click.IntRange(min=16), default=320, show_default=True, metavar="PIXELS",
              help="Longer side of the copy on which the page computes labels; strokes are at the photo's size.")  # fmt: skip
@click.option("--unlabelled", type=click.IntRange(0, 255), default=255, show_default=True, metavar="ID",
              help='Id in an indexed PNG that means "no label", besides 255; not in those that the page wrote.')  # fmt: skip
@click.option("--port", type=click.IntRange(1, 65535), default=8867, show_default=True, help="Port on this machine.")
@click.option("--no-browser", is_flag=True, help="Serve without opening a browser; the address is printed.")
@no_token_option
def paint(
    folder: Path, classes: str | None, long_side: int, unlabelled: int, port: int, no_browser: bool, no_token: bool
) -> None:
    """Paint scribbles on the photos of FOLDER, and see the soft labels that follow from them.

    Strokes are saved beside each photo as one paints. If FOLDER contains images/, they go to scribbles/NAME.json, and the class
    names to classes.txt, as `toykit train` reads them (data.kind=folder); `toykit segment FOLDER/images FOLDER/scribbles` reads
    them, too. In any other folder they are NAME_scribbles.json beside NAME.jpg, for `toykit segment FOLDER FOLDER`. The page is
    served to this machine only, until interrupted.
    """
    from toykit.explore.painting.photo_folder import PhotoFolder
    from toykit.explore.painting.served import NOTEBOOK, offer

    names = None if classes is None else tuple(name.strip() for name in classes.split(","))
    try:
        found = PhotoFolder(folder, names, unlabelled)
        if names is not None:  # once: later lists of classes are the page's
            found.write_classes()
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    count = len(found.photos)
    click.echo(f"{count} photo{'s' * (count > 1)}, {len(found.painted)} painted; classes: {', '.join(found.classes)}")
    offer(folder, long_side, unlabelled)
    serve(f"toykit paint {folder}", NOTEBOOK, port, no_browser, no_token)
