"""Walls as mirrors: their images, their ends, and what they hide."""

from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.networks.cell_geometry import distances_from
from nsrp_ros.networks.mirrors import exact_boxes
from nsrp_ros.networks.mirrors import mirrors_of
import numpy as np
import pytest
from support.surroundings_tensors import batch
import torch

L_SHAPE = [(0, 0), (6, 0), (6, 3), (3, 3), (3, 5), (0, 5)]
SHORT = 2
"""The wall at y = 3, which is there from x = 3 to 6 only."""


def seen(surroundings, mics, points):
    """Return the mirrors of one scene, of microphones and points in tuples."""
    mics, points = (torch.tensor([of], dtype=torch.float32) for of in (mics, points))
    return mirrors_of(batch(surroundings), mics, points, distances_from(mics, points))


def test_reflected_paths_are_those_of_mirror_images():
    """From each point to the image of the microphone, in boxes that are turned or not."""
    rng = np.random.default_rng(0)
    dims = np.array([6.0, 5.0, 3.0])
    for room in (Surroundings.box(dims), Surroundings.box(dims, (1, -2, 0.3), 0.6)):
        # Points within half a metre of the middle are inside, however the box is turned.
        middle = (room.lower + room.upper) / 2
        mics, points = (middle + rng.uniform(-0.5, 0.5, (n, 3)) for n in (4, 7))
        mirrors = seen(room, mics.tolist(), points.tolist())
        for plane, (*normal, offset) in enumerate(room.planes):
            images = mics - 2 * np.outer(mics @ normal - offset, normal)
            expected = np.linalg.norm(images[:, None] - points, axis=2)
            np.testing.assert_allclose(mirrors.through[0, plane], expected, rtol=1e-5)
            np.testing.assert_allclose(mirrors.cells[0, plane], points @ normal - offset,
                                       atol=1e-5)
        assert mirrors.reflects.all() and not mirrors.hidden.any()


def test_boxes_in_tensors_are_those_in_arrays():
    """The planes of exact_boxes are those of Surroundings.box, in another order."""
    planes = exact_boxes(torch.tensor([[6.0, 5.0, 3.0]])).planes[0]
    expected = Surroundings.box((6.0, 5.0, 3.0)).planes
    assert sorted(planes.tolist()) == sorted(expected.tolist())


def test_walls_do_not_reflect_beyond_their_ends():
    """Of an L-shaped room's inner wall only what is below it has an echo."""
    mirrors = seen(Surroundings.prism(L_SHAPE, (0, 2.5)), [(1, 1, 1), (4, 1, 1)],
                   [(2, 1, 1), (5, 1, 1), (2, 4, 1)])
    short = mirrors.reflects[0, SHORT]
    # Of the microphone at x = 1, half-way to x = 5 is where the wall begins; the last is behind.
    assert short.tolist() == [[False, True, False], [True, True, False]]
    # The long wall across is seen from everywhere.
    assert mirrors.reflects[0, 0].all()


def test_walls_with_errors_reflect_a_little_beyond_their_ends():
    """By their standard deviation; those that are not known do not reflect at all."""
    for std, expected in ((0.0, False), (0.6, True), (np.inf, False)):
        stds = np.zeros(8)
        stds[SHORT] = std
        mirrors = seen(Surroundings.prism(L_SHAPE, (0, 2.5), stds), [(2, 1, 1)], [(3, 1, 1)])
        # Stacking keeps the plane, whether it is known or not.
        assert bool(mirrors.reflects[0, SHORT, 0, 0]) is expected


def test_corners_hide_what_is_behind_them():
    """Surely around the corner of an L, not at all in view, the less the vaguer the walls are."""
    mic, corner, view = (2, 4.5, 1), (5.5, 2.5, 1), (1, 1, 1)
    hidden = seen(Surroundings.prism(L_SHAPE, (0, 2.5)), [mic, view], [corner, view]).hidden[0]
    assert hidden.tolist() == [[1, 0], [0, 0]]
    vague = seen(Surroundings.prism(L_SHAPE, (0, 2.5), 0.05), [mic], [corner]).hidden
    assert float(vague) == pytest.approx(0.5, abs=1e-4)
    assert float(seen(Surroundings.prism(L_SHAPE, (0, 2.5), np.inf), [mic], [corner]).hidden) == 0
    # Below the floor nobody is hidden, only out of the room.
    assert float(seen(Surroundings.box((6, 5, 3)), [mic], [(2, 4, -0.5)]).hidden) == 0


def test_geometry_needs_no_gradients_and_32_bits():
    """Whatever the network is trained with."""
    mics, points = torch.rand(1, 3, 3), torch.rand(1, 4, 3)
    room = batch(Surroundings.box((6, 5, 3)))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mirrors = mirrors_of(room, mics, points, distances_from(mics, points))
    exact = mirrors_of(room, mics, points, distances_from(mics, points))
    assert mirrors.through.dtype == torch.float32 and not mirrors.through.requires_grad
    torch.testing.assert_close(mirrors.through, exact.through)
