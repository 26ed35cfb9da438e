"""``karyo case import``: a case from the file of another installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.connections import open_services
from cli.console import err, print_json
from cli.current_user import current_user
from cli.options import AsJson


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Archive that `karyo case export` wrote.")],
    as_json: AsJson = False,
) -> None:
    """Take in a case that another installation exported; every digest is verified first.

    Safe to repeat. Refused if the case, or one of its images, is there with other content.
    """
    from reports.case_archive.archive import open_archive  # noqa: PLC0415 - imports the science
    from reports.case_archive.transfer import import_case  # noqa: PLC0415

    with open_services() as services, open_archive(file, services.settings.max_image_bytes) as archive:
        done = import_case(services.sessions, services.store, archive, actor=current_user())
    if as_json:
        print_json(done._asdict())
    else:
        what = "is imported" if done.is_new else "was there already, with the same content"
        err.print(f"case {done.accession} {what}", markup=False, soft_wrap=True)
