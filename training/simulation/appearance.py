"""What varies from cell to cell: how chromosomes look and what the microscope makes of them.

Every field is a range; one draw from each range makes one cell, so that the chromosomes of a cell agree with each
other as those of a real one do, and cells differ as those of different slides do.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from karyotyping.nomenclature.ideogram import RESOLUTIONS, Banding, Resolution

Contrast = Literal["bright_field", "fluorescence"]
Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """Ranges of the biology and the staining. Lengths in pixels, angles in radians, stain in absorbance units."""

    first_length: Range = (88, 112)
    """Length of a chromosome 1 of this cell: its condensation."""
    width: Range = (12.0, 15.0)
    length_jitter: Range = (0.03, 0.06)
    """Relative standard deviation of length between chromosomes, beyond their classes."""
    width_jitter: Range = (0.03, 0.07)
    small_narrow: Range = (0.02, 0.1)
    """How much narrower the shortest chromosome is than the longest."""
    waist: Range = (0.2, 0.42)
    """Share of the width that is missing at the centromere."""
    waist_extent: Range = (0.22, 0.4)
    """Standard deviation of the waist along the axis, in widths."""
    gap: Range = (0.0, 1.0)
    """How far the two chromatids lie apart, in chromatid half-widths; 0 fuses them."""
    splay: Range = (0.0, 0.3)
    """How much further apart they lie at the telomeres."""
    bend: Range = (0.1, 0.6)
    """Standard deviation of the turn between both ends of a chromosome 1; shorter ones bend less."""
    kink: Range = (0.0, 0.35)
    """Standard deviation of the angle between the arms at the centromere."""
    stain: Range = (1.3, 2.1)
    """Stain of the darkest band (absorbance in bright field; brightness over exposure in fluorescence)."""
    light_stain: Range = (0.15, 0.35)
    """Stain of an unstained band as a share of the darkest."""
    stain_jitter: Range = (0.03, 0.1)
    band_blur: Range = (0.008, 0.016)
    """Standard deviation of the blur of bands along the axis, as a share of chromosome 1's length."""
    band_warp: Range = (0.005, 0.02)
    """Local differences of condensation: how far bands shift, as a share of the length."""
    skew: Range = (0.0, 1.0)
    """Standard deviation of the shift between the bands of both chromatids, in pixels."""
    heterochromatin: Range = (0.7, 1.4)
    """Variable size and brightness of the heterochromatin of a chromosome (polymorphism between homologs)."""
    granularity: Range = (0.04, 0.12)
    """Relative standard deviation of the fine texture."""

    @classmethod
    def for_contrast(cls, contrast: Contrast) -> Appearance:
        """Typical chromosomes: G-banded for bright field; slender, bent, and DAPI-stained for fluorescence."""
        if contrast == "bright_field":
            return cls()
        return cls(
            waist=(0.1, 0.3),
            gap=(0.0, 0.35),
            bend=(0.2, 0.9),
            stain=(1.0, 1.6),
            light_stain=(0.3, 0.45),
            stain_jitter=(0.06, 0.15),
            granularity=(0.05, 0.12),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Optics:
    """Ranges of the microscope and the camera. Grey levels are those of an 8-bit image."""

    background: Range = (228, 242)
    full_scale: Range = (255, 255)
    """Brightness above background that a fluorescence stain of 1 gives; without effect in bright field."""
    blur: Range = (0.8, 1.3)
    """Standard deviation of the point spread function, pixels."""
    vignetting: Range = (0.0, 0.05)
    """Loss of light in the corners."""
    slope: Range = (0.0, 0.04)
    """Difference of illumination across the field."""
    haze: Range = (0.0, 0.03)
    """Share of the light that is scattered far (out-of-focus light in fluorescence)."""
    sharpening: Range = (0.0, 0.6)
    """Strength of the camera's unsharp mask."""
    noise: Range = (0.6, 2.0)
    """Standard deviation of the sensor noise in the background of bright field, or of the dark in fluorescence."""
    shot_noise: Range = (0.02, 0.1)
    """Variance of the photon noise per grey level."""

    @classmethod
    def for_contrast(cls, contrast: Contrast) -> Optics:
        """A clean bright-field camera, or a cooled fluorescence camera with out-of-focus light."""
        if contrast == "bright_field":
            return cls()
        return cls(
            background=(6, 18),
            full_scale=(170, 230),
            blur=(1.2, 1.8),
            vignetting=(0.0, 0.15),
            slope=(0.0, 0.08),
            haze=(0.05, 0.15),
            sharpening=(0.0, 0.0),
            noise=(0.5, 1.8),
            shot_noise=(0.02, 0.12),
        )


def draw_values(ranges: Appearance | Optics, rng: np.random.Generator) -> dict[str, float]:
    """One value of each range, by the name of its field."""
    return {item.name: float(rng.uniform(*getattr(ranges, item.name))) for item in fields(ranges)}


def draw_resolution(rng: np.random.Generator) -> Resolution:
    """A band level: mostly the middle one, as in routine preparations."""
    return RESOLUTIONS[rng.choice(len(RESOLUTIONS), p=(0.35, 0.5, 0.15))]


def default_banding(contrast: Contrast) -> Banding:
    """G-banding in bright field, DAPI in fluorescence."""
    return "G" if contrast == "bright_field" else "DAPI"
