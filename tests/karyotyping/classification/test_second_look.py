"""What a cell lacks becomes a chromosome; what resembles nothing becomes a rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from karyotyping.arrays import Mask
from karyotyping.chromosome.crop import crop_region
from karyotyping.chromosome.measure import measure_cell
from karyotyping.classification.alternatives import ClassifiedCell
from karyotyping.classification.embedder import EMBEDDER, classify
from karyotyping.classification.identify import assign_cell
from karyotyping.classification.second_look import look_again
from karyotyping.image.normalise import Normalised, normalise
from karyotyping.model import ChromosomeFlag, RestKind
from karyotyping.pipeline import Pipeline
from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.rests import Rest
from karyotyping.segmentation.stream import segment_batch
from models.engine import Engine, load_engine
from models.registry import resolve
from training.simulation import simulate


@pytest.fixture(scope="module")
def embedder() -> Engine:
    return load_engine(resolve(EMBEDDER).path, "cpu")


@pytest.fixture(scope="module")
def image() -> Normalised:
    return normalise(simulate("46,XX", seed=0).pixels)


@pytest.fixture(scope="module")
def cell(image: Normalised, embedder: Engine) -> ClassifiedCell:
    pipeline = Pipeline.default("cpu").open()
    (segmentation,) = segment_batch([image], pipeline.networks, pipeline.stream)
    measured = measure_cell([crop_region(image.stain, item.region()) for item in segmentation.instances])
    return ClassifiedCell(replace(segmentation, rests=()), measured, classify(measured, embedder))


def classes(cell: ClassifiedCell) -> Counter[int | None]:
    return Counter(item.class_id for item in assign_cell(cell.predictions))


def without(cell: ClassifiedCell, index: int, kind: RestKind) -> ClassifiedCell:
    """Return a cell in which an instance is a rest."""
    instances = list(cell.segmentation.instances)
    rest = Rest(instances.pop(index).region(), kind)
    return ClassifiedCell(
        replace(cell.segmentation, instances=tuple(instances), rests=(rest,)),
        [item for k, item in enumerate(cell.measured) if k != index],
        [item for k, item in enumerate(cell.predictions) if k != index],
    )


def test_a_plain_cell_stays_as_it_is(image: Normalised, cell: ClassifiedCell, embedder: Engine) -> None:
    again = look_again(image, cell, embedder)
    assert again.segmentation == cell.segmentation
    assert again.predictions == list(cell.predictions)


@pytest.mark.parametrize("kind", ["uncertain", "debris", "nucleus"])
def test_a_rest_that_the_cell_lacks_is_an_uncertain_chromosome(
    image: Normalised, cell: ClassifiedCell, embedder: Engine, kind: RestKind
) -> None:
    lacking = without(cell, 5, kind)
    assert classes(lacking) != classes(cell)
    again = look_again(image, lacking, embedder)
    assert classes(again) == classes(cell)
    assert not again.segmentation.rests
    restored = again.segmentation.instances[-1]
    assert (restored.origin, "uncertain" in restored.flags) == (cell.segmentation.instances[5].origin, True)


def test_letters_or_a_third_copy_stay_a_rest(image: Normalised, cell: ClassifiedCell, embedder: Engine) -> None:
    letters = without(cell, 5, "annotation")
    assert look_again(image, letters, embedder).segmentation == letters.segmentation
    third = Rest(cell.segmentation.instances[5].region(), "uncertain")
    crowded = replace(cell, segmentation=replace(cell.segmentation, rests=(third,)))
    assert look_again(image, crowded, embedder).segmentation == crowded.segmentation


@pytest.mark.parametrize("kind", ["uncertain", None])
def test_the_halves_of_a_chromosome_that_the_cell_lacks_are_one(
    image: Normalised, cell: ClassifiedCell, embedder: Engine, kind: RestKind | None
) -> None:
    """Two instances, or an instance and a rest, that resemble nothing."""
    index = int(np.argmax([item.length for item in cell.measured]))
    whole = cell.segmentation.instances[index]
    halves = [whole.mask & half for half in upper_and_lower(whole.mask)]
    lacking = without(cell, index, "uncertain")
    instances = [replace(whole, mask=mask, score=0.8) for mask in halves[: 1 if kind else 2]]
    rests = (Rest(Contour(halves[1], whole.origin), kind),) if kind else ()
    prediction = replace(cell.predictions[index], unknown=0.99, joint=np.full((24, 2), -np.log(48)))
    cut = ClassifiedCell(
        replace(lacking.segmentation, instances=(*lacking.segmentation.instances, *instances), rests=rests),
        [*lacking.measured, *(measure_cell([crop_region(image.stain, item.region())])[0] for item in instances)],
        [*lacking.predictions, *(prediction for _ in instances)],
    )
    again = look_again(image, cut, embedder)
    assert classes(again) == classes(cell)
    assert not again.segmentation.rests
    joined = again.segmentation.instances[-1]
    assert joined.region().overlap_area(whole.region()) > 0.95 * whole.region().area


def test_two_that_touch_in_an_outline_that_resembles_nothing_are_two(
    image: Normalised, cell: ClassifiedCell, embedder: Engine
) -> None:
    lower, upper = np.argsort([-item.length for item in cell.measured])[[0, 30]].tolist()
    moved, region = on_top(
        image, cell.segmentation.instances[upper].region(), cell.segmentation.instances[lower].region()
    )
    lacking = without(without(cell, max(lower, upper), "uncertain"), min(lower, upper), "uncertain")
    merged = replace(cell.segmentation.instances[lower], mask=region.mask, origin=region.origin, score=0.8)
    prediction = replace(cell.predictions[lower], unknown=0.99, joint=np.full((24, 2), -np.log(48)))
    as_one = ClassifiedCell(
        replace(lacking.segmentation, instances=(*lacking.segmentation.instances, merged), rests=()),
        [*lacking.measured, measure_cell([crop_region(moved.stain, region)])[0]],
        [*lacking.predictions, prediction],
    )
    again = look_again(moved, as_one, embedder)
    assert classes(again) == classes(cell)
    parts = again.segmentation.instances[-2:]
    assert all("uncertain" in part.flags for part in parts)
    assert sum(part.region().area for part in parts) == pytest.approx(region.area, rel=0.05)


def on_top(image: Normalised, upper: Contour, lower: Contour) -> tuple[Normalised, Contour]:
    """Return an image in which a region touches the upper end of another, and both as one."""
    shape, stain = image.stain.shape, image.stain.copy()
    crop = np.where(upper.mask, upper.crop(stain), 0)
    stain[upper.pixels(shape)] = 0
    rows, columns = lower.pixels(shape)
    middle = int(columns[rows == rows.min()].mean())
    below, across = np.nonzero(upper.mask)
    x = middle - int(across[below == below.max()].mean())
    y = next(y for y in range(10_000) if Contour(upper.mask, (x, y)).overlap_area(lower) > 2)
    top = Contour(upper.mask, (x, y))
    in_image, in_crop = top.window(shape)
    stain[in_image] = np.maximum(stain[in_image], crop[in_crop])
    both = top.full_mask((shape[0], shape[1])) | lower.full_mask((shape[0], shape[1]))
    return replace(image, stain=stain), Contour(both, (0, 0)).clipped((shape[0], shape[1]))


def upper_and_lower(mask: Mask) -> tuple[Mask, Mask]:
    """Return the rows of a mask above and below the middle of its region, one row apart."""
    rows = np.arange(len(mask))[:, None]
    middle = int(np.median(np.nonzero(mask)[0]))
    return rows < middle, rows > middle


def test_an_instance_that_resembles_nothing_is_a_rest(
    image: Normalised, cell: ClassifiedCell, embedder: Engine
) -> None:
    predictions = [replace(item, unknown=1.0) if k == 5 else item for k, item in enumerate(cell.predictions)]
    again = look_again(image, replace(cell, predictions=predictions), embedder)
    assert len(again.segmentation.instances) == len(cell.segmentation.instances) - 1
    (rest,) = again.segmentation.rests
    assert (rest.kind, rest.region.origin) == ("uncertain", cell.segmentation.instances[5].origin)


@pytest.mark.parametrize(("flags", "remaining"), [({"touching"}, 46), (set(), 47)])
def test_in_a_cell_of_46_a_nameless_part_is_a_rest_only_if_it_touches_another(
    image: Normalised, cell: ClassifiedCell, embedder: Engine, flags: set[ChromosomeFlag], remaining: int
) -> None:
    assert sum(classes(cell).values()) == 46
    part = replace(cell.segmentation.instances[0], score=0.9, flags=frozenset(flags))
    crowded = ClassifiedCell(
        replace(cell.segmentation, instances=(*cell.segmentation.instances, part)),
        [*cell.measured, cell.measured[0]],
        [*cell.predictions, replace(cell.predictions[0], unknown=0.8)],
    )
    assert classes(crowded)[None] == 1
    assert len(look_again(image, crowded, embedder).segmentation.instances) == remaining


@pytest.mark.parametrize(("score", "away", "remaining"), [(0.8, 3000, 45), (0.8, 0, 46), (0.95, 3000, 46)])
def test_what_is_far_from_the_cell_is_a_rest_unless_it_is_surely_a_chromosome(
    image: Normalised, cell: ClassifiedCell, embedder: Engine, *, score: float, away: int, remaining: int
) -> None:
    instances = list(cell.segmentation.instances)
    x, y = instances[5].origin
    instances[5] = replace(instances[5], score=score, origin=(x + away, y))
    moved = replace(cell, segmentation=replace(cell.segmentation, instances=tuple(instances)))
    assert len(look_again(image, moved, embedder).segmentation.instances) == remaining


def test_a_few_chromosomes_do_not_show_what_a_cell_lacks(
    image: Normalised, cell: ClassifiedCell, embedder: Engine
) -> None:
    few = ClassifiedCell(
        replace(cell.segmentation, instances=cell.segmentation.instances[:9]), cell.measured[:9], cell.predictions[:9]
    )
    assert look_again(image, few, embedder) is few
