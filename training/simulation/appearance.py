"""Ranges of what varies between cells: appearance of chromosomes, and microscope.

One value from each range makes one cell: its chromosomes resemble each other, and cells differ like different slides.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from karyotyping.nomenclature.ideogram import RESOLUTIONS, Banding, Resolution

Contrast = Literal["bright_field", "fluorescence"]
Range = tuple[float, float]
"""Least and largest value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """Ranges of biology and staining: lengths in pixels, angles in radians, stain in absorbance."""

    first_length: Range = (88, 112)
    """Length of chromosome 1, which depends on the condensation of the cell."""
    width: Range = (12.0, 15.0)
    """Width of chromosome 1."""
    length_jitter: Range = (0.03, 0.06)
    """Standard deviation of the log length within a class."""
    width_jitter: Range = (0.03, 0.07)
    """Standard deviation of the log width."""
    small_narrow: Range = (0.02, 0.1)
    """Share by which the shortest chromosome is narrower than the longest."""
    waist: Range = (0.2, 0.42)
    """Share of the width that the centromere lacks."""
    waist_extent: Range = (0.22, 0.4)
    """Standard deviation of the waist along the axis, in widths."""
    gap: Range = (0.0, 1.0)
    """Distance of the chromatids, in chromatid half-widths; 0 fuses them."""
    splay: Range = (0.0, 0.3)
    """Additional distance of the chromatids at the telomeres, in the same unit."""
    bend: Range = (0.1, 0.6)
    """Standard deviation of the turn between both ends of chromosome 1; shorter ones bend less."""
    kink: Range = (0.0, 0.35)
    """Standard deviation of the angle between the arms at the centromere."""
    stain: Range = (1.3, 2.1)
    """Stain of the darkest band (absorbance in bright field; brightness over exposure in fluorescence)."""
    light_stain: Range = (0.15, 0.35)
    """Stain of the palest band as a share of the darkest."""
    stain_jitter: Range = (0.03, 0.1)
    """Standard deviation of the log stain between chromosomes."""
    band_blur: Range = (0.008, 0.016)
    """Standard deviation of the blur of bands along the axis, as a share of chromosome 1's length."""
    band_warp: Range = (0.005, 0.02)
    """Standard deviation of the shift of bands by uneven condensation, as a share of the length."""
    skew: Range = (0.0, 1.0)
    """Standard deviation of the shift between the bands of both chromatids, in pixels."""
    heterochromatin: Range = (0.7, 1.4)
    """Factor of size and stain of heterochromatin (polymorphism between homologs)."""
    granularity: Range = (0.04, 0.12)
    """Standard deviation of the fine texture, relative to the stain."""

    @classmethod
    def for_contrast(cls, contrast: Contrast) -> Appearance:
        """Return the usual ranges: G-banded, or slender, bent and DAPI-stained chromosomes."""
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
    """Ranges of microscope and camera, in grey levels of an 8-bit image."""

    background: Range = (228, 242)
    """Grey level of the background."""
    full_scale: Range = (255, 255)
    """Grey levels above the background of a fluorescence stain of 1; unused in bright field."""
    blur: Range = (0.8, 1.3)
    """Standard deviation of the point spread function, pixels."""
    vignetting: Range = (0.0, 0.05)
    """Share of light that the corners lack."""
    slope: Range = (0.0, 0.04)
    """Difference of illumination across the image, as a share."""
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
        """Return the usual ranges: a clean bright-field or a hazy fluorescence camera."""
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
    """Draw one value of each range; return them by the names of the fields."""
    return {item.name: float(rng.uniform(*getattr(ranges, item.name))) for item in fields(ranges)}


def draw_resolution(rng: np.random.Generator) -> Resolution:
    """Draw a band level; the middle one is the most frequent, as in routine preparations."""
    return RESOLUTIONS[rng.choice(len(RESOLUTIONS), p=(0.35, 0.5, 0.15))]


def default_banding(contrast: Contrast) -> Banding:
    """Return the usual banding: G in bright field, DAPI in fluorescence."""
    return "G" if contrast == "bright_field" else "DAPI"
