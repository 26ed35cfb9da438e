"""Options that several commands take: which of the shipped pipelines."""

from __future__ import annotations

from typing import Annotated

import typer

from karyotyping.pipeline import Classifier, Segmenter

ClassifierOption = Annotated[
    Classifier, typer.Option(help="What names the chromosomes: the network, or bands and shape alone.")
]
SegmenterOption = Annotated[
    Segmenter, typer.Option(help="What tells chromosomes of a cluster apart: the network, or cuts by geometry.")
]
