"""Karyogram of a cell in the order, groups and orientation of cytogenetic practice.

Groups A to G are in four rows, homologs in order of similarity, p arm up, the centromeres of a row on one line.
Chromosomes without a class have rows of their own. ``layout`` computes all positions; ``raster`` and ``svg`` only draw
them, so both show the same page.
"""

from karyotyping.rendering.karyogram.raster import draw_karyogram
from karyotyping.rendering.karyogram.svg import karyogram_svg

__all__ = ["draw_karyogram", "karyogram_svg"]
