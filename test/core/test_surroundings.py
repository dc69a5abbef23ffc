"""What is known of a room: constructors, their errors and the search area."""

import subprocess
import sys

from nsrp_ros import Surroundings
import numpy as np
import pytest

L_SHAPE = [(0, 0), (6, 0), (6, 3), (3, 3), (3, 5), (0, 5)]


def distances(surroundings, point):
    """Return how far a point is in front of each plane, metres."""
    return surroundings.planes[:, :3] @ point - surroundings.planes[:, 3]


def known_to(surroundings, normal):
    """Return the standard deviation of the plane with a normal."""
    return surroundings.std[(surroundings.planes[:, :3] @ normal).argmax()]


def test_an_exact_box_is_the_box_of_three_lengths():
    """From the origin, without rounding, and with all of its walls facing inwards."""
    dims = np.array([6.1, 4.7, 2.3])
    box = Surroundings.box(dims)
    np.testing.assert_array_equal(box.lower, np.zeros(3))
    np.testing.assert_array_equal(box.upper, dims)
    assert box.outline is None and not box.std.any()
    assert sorted(distances(box, [1, 1, 1])) == pytest.approx(
        sorted([1, 1, 1, *(dims - 1)]))


def test_the_order_of_a_boxes_standard_deviations():
    """The walls at x = 0 and at its end, those at y = 0 and at its end, floor and ceiling."""
    box = Surroundings.box((6, 5, 3), std=[1, 2, 3, 4, 5, 6])
    normals = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    assert [known_to(box, normal) for normal in normals] == [1, 2, 3, 4, 5, 6]


def test_a_turned_box_is_turned_about_its_corner():
    """By a quarter, its length points along y; walls keep their distances from what is inside."""
    box = Surroundings.box((6, 5, 3), origin=(1, 2, 0.5), yaw=np.pi / 2, std=[1, 2, 3, 4, 5, 6])
    np.testing.assert_allclose([box.lower, box.upper], [[-4, 2, 0.5], [1, 8, 3.5]])
    assert known_to(box, (0, 1, 0)) == 1 and known_to(box, (-1, 0, 0)) == 3
    turned = Surroundings.box((6, 5, 3), yaw=0.5)
    at = np.array([2 * np.cos(0.5) - np.sin(0.5), 2 * np.sin(0.5) + np.cos(0.5), 1])  # (2, 1, 1)
    assert sorted(distances(turned, at)) == pytest.approx([1, 1, 2, 2, 4, 4])


def test_the_direction_of_an_outline_does_not_matter():
    """Clockwise corners make the same room; each wall keeps its own standard deviation."""
    std = np.arange(8.0)
    one = Surroundings.prism(L_SHAPE, (0, 2.5), std)
    other = Surroundings.prism(L_SHAPE[::-1], (0, 2.5), np.append(std[[4, 3, 2, 1, 0, 5]], [6, 7]))

    def rows(surroundings):
        return sorted(map(tuple, np.round(np.column_stack(
            [surroundings.planes, surroundings.std, surroundings.ends]) + 0.0, 9)))
    assert rows(one) == rows(other)


def test_what_is_in_the_search_area():
    """The missing quarter of an L is not; a turned box ends at its walls; heights count."""
    room = Surroundings.prism(L_SHAPE, (0.5, 2.5))
    assert room.contains([(1, 4), (5, 1), (5, 4), (-1, 1)]).tolist() == [True, True, False, False]
    assert room.contains([(1, 4, 1), (1, 4, 0)]).tolist() == [True, False]
    turned = Surroundings.box((4, 4, 2), yaw=np.pi / 4)
    assert turned.contains([(0, 2.8), (2, 1)]).tolist() == [True, False]
    area = Surroundings.open((-4, -3, 0), (4, 3, 2))
    assert area.contains([(-3.9, 2.9), (4.1, 0)]).tolist() == [True, False]
    assert area.planes.shape == (0, 4)


def test_planes_and_search_area_are_changed_apart():
    """A search area in a room, and other planes around the same search area."""
    room = Surroundings.box((6, 5, 3), std=0.1)
    part = room.search((1, 1, 0), (2, 2, 2))
    np.testing.assert_array_equal(part.planes, room.planes)
    assert part.contains((1.5, 1.5)) and not part.contains((3, 3))
    floor = part.with_planes([0, 0, 1, 0], 0.02)
    assert floor.planes.shape == (1, 4) and floor.std.tolist() == [0.02]
    np.testing.assert_array_equal(floor.upper, part.upper)


@pytest.mark.parametrize('make, sentence', [
    (lambda: Surroundings.box((6, 0, 3)), 'three positive lengths'),
    (lambda: Surroundings.box((6, 5)), 'three positive lengths'),
    (lambda: Surroundings.box((6, 5, 3), yaw=np.nan), 'yaw finite'),
    (lambda: Surroundings.box((6, 5, 3), std=-1), '0 or more metres'),
    (lambda: Surroundings.box((6, 5, 3), std=[1, 2, 3]), 'one standard deviation or 6'),
    (lambda: Surroundings.prism([(0, 0), (1, 1)], (0, 2)), 'three finite corners'),
    (lambda: Surroundings.prism([(0, 0), (1, 1), (2, 2)], (0, 2)), 'has no area'),
    (lambda: Surroundings.prism([(0, 0), (1, 0), (1, 0), (0, 1)], (0, 2)), 'coincide'),
    (lambda: Surroundings.prism(L_SHAPE, (2, 0)), 'lower and an upper corner'),
    (lambda: Surroundings.open((0, 0, 0), (1, -1, 1)), 'lower and an upper corner'),
    (lambda: Surroundings.open((0, 0), (1, 1)), 'lower and an upper corner'),
    (lambda: Surroundings.box((6, 5, 3)).with_planes([0, 0, 2, 0]), 'unit normals'),
    (lambda: Surroundings.box((6, 5, 3)).search((0, 0, 0), (1, 1, 1), [(0, 0), (1, 1)]),
     'three corners'),
])
def test_no_surroundings(make, sentence):
    """Each fault has its own message."""
    with pytest.raises(ValueError, match=sentence):
        make()


def test_they_come_without_anything_heavy():
    """Importing them imports neither torch nor SciPy, and the package alone not even NumPy."""
    program = ('import sys, nsrp_ros\n'
               'print({"numpy"} & set(sys.modules))\n'
               'from nsrp_ros import Surroundings\n'
               'print({"torch", "scipy"} & set(sys.modules), Surroundings.__name__)')
    result = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert result.stdout.split('\n') == ['set()', 'set() Surroundings', ''], result.stderr
