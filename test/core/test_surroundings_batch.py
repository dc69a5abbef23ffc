"""Surroundings of many scenes in arrays of one size."""

from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.core.surroundings.batch import stack
from nsrp_ros.core.surroundings.batch import SurroundingsBatch
from nsrp_ros.core.surroundings.outlines import inside_outline
import numpy as np
import pytest
from support.surroundings_tensors import batch
import torch

L_SHAPE = [(0, 0), (6, 0), (6, 3), (3, 3), (3, 5), (0, 5)]
ROOMS = (Surroundings.prism(L_SHAPE, (0, 2.5), np.arange(8) / 100),
         Surroundings.box((6, 5, 3), (1, 2, 0.5), 0.3),
         Surroundings.open((-4, -4, 0), (4, 4, 2.5)))


def assert_same(one, other):
    """Compare surroundings to 32 bits, whatever the corners that outlines repeat."""
    for name in ('lower', 'upper', 'planes', 'std', 'ends'):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-5)


@pytest.mark.parametrize('put', [stack, lambda rooms: batch(*rooms)])
def test_scenes_of_a_batch_are_what_was_put_in(put):
    """In NumPy or torch: without the padding, and searched in the same places."""
    many = put(ROOMS)
    assert isinstance(many, SurroundingsBatch) and len(many) == 3
    assert many.planes.shape == (3, 8, 4) and many.ends.shape == (3, 8, 2)
    assert many.outline.shape == (3, 6, 2)
    points = np.random.default_rng(0).uniform(-5, 7, (200, 2))
    for k, room in enumerate(ROOMS):
        one = many.one(k)
        assert_same(one, room)
        np.testing.assert_array_equal(one.contains(points), room.contains(points))


def test_padding_is_not_known():
    """Planes that a scene does not have are finite, but of an infinite standard deviation."""
    many = stack(ROOMS)
    assert np.isfinite(many.std).sum(axis=1).tolist() == [8, 6, 0]
    assert np.isfinite(many.planes).all()
    np.testing.assert_allclose(np.linalg.norm(many.planes[..., :3], axis=2), 1)


def test_boxes_need_no_outlines():
    """There is none where all scenes are searched as a whole, and no plane where none is known."""
    assert stack([Surroundings.box((6, 5, 3)), ROOMS[2]]).outline is None
    assert stack([ROOMS[2]]).planes.shape == (1, 0, 4)


def test_some_scenes_are_taken():
    """By positions, slices or tensors; what is missing stays missing."""
    many = stack(ROOMS)
    for index in ([2, 0], np.array([2, 0])):
        some = many.take(index)
        assert len(some) == 2
        assert_same(some.one(1), ROOMS[0])
    tensors = batch(*ROOMS[1:]).take(torch.tensor([1]))
    assert_same(tensors.one(0), ROOMS[2])
    assert len(many.take(slice(1, None))) == 2
    boxes = stack([Surroundings.box((6, 5, 3))] * 3).take([0])
    assert boxes.outline is None and len(boxes) == 1


def test_outlines_of_batches_are_those_of_scenes():
    """Points are inside the same polygons in arrays and in tensors."""
    points = torch.rand(3, 50, 2, generator=torch.Generator().manual_seed(0)) * 8 - 1
    inside = inside_outline(points, batch(*ROOMS).outline[:, None])
    for k, room in enumerate(ROOMS[:2]):
        expected = inside_outline(points[k].numpy().astype(float), np.asarray(
            room.outline, dtype=float))
        np.testing.assert_array_equal(inside[k], expected)
        assert 0 < expected.sum() < 50
