"""The karyogram of a cell: its chromosomes in the order, the groups and the posture that cytogeneticists read.

Groups A to G in four rows, homologs side by side by likeness, p arm up, the centromeres of a row on one line, what fits
no class in rows of its own. ``layout`` decides where everything stands; ``painter`` and ``svg`` only draw it, so that
both show the very same page.
"""

from karyotyping.rendering.karyogram.raster import draw_karyogram
from karyotyping.rendering.karyogram.svg import karyogram_svg

__all__ = ["draw_karyogram", "karyogram_svg"]
