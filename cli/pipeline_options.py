"""Options that choose a shipped pipeline."""

from __future__ import annotations

from typing import Annotated

import typer

from karyotyping.pipeline import Classifier, Segmenter

ClassifierOption = Annotated[
    Classifier, typer.Option(help="Classifier of the chromosomes: the network, or bands and shape alone.")
]
SegmenterOption = Annotated[
    Segmenter, typer.Option(help="Separates the chromosomes of a cluster: the network, or cuts by geometry.")
]
