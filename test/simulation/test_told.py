"""What is told of rooms: exact walls are where they are, rough ones about there."""

from dataclasses import replace
import math

from nsrp_ros.simulation.rooms.told import tell
from nsrp_ros.simulation.rooms.told import ToldWalls
from nsrp_ros.simulation.scenes import Scenes
import pytest
import torch

MANY = 200
EXACT = ToldWalls(turned=1.0, tight=1.0, outlined=1.0)
ROUGH = replace(EXACT, shares=(0.0, 1.0, 0.0, 0.0, 0.0))
NONE = replace(EXACT, shares=(0.0, 0.0, 0.0, 0.0, 1.0))


def scenes(n=MANY, polygons=False):
    """Make scenes of four microphones and two talkers in boxes, or in L-shaped rooms."""
    generator = torch.Generator().manual_seed(1)
    dims = 4 + 4 * torch.rand(n, 3, generator=generator)
    share = 0.45 * torch.rand(n, 6, 3, generator=generator)  # in any L's lower left
    points = share * dims[:, None]
    outline = None
    if polygons:
        corners = torch.tensor([(0, 0), (1, 0), (1, 0.5), (0.5, 0.5), (0.5, 1), (0, 1), (0, 1)])
        outline = corners * dims[:, None, :2]
    return Scenes(torch.zeros(n, 4, 1), points[:, :4], points[:, 4], dims, talkers=points[:, 4:],
                  n_talking=torch.full((n,), 2), talking=torch.ones(n, dtype=torch.bool),
                  outline=outline)


def told(config, polygons=False, seed=0, n=MANY):
    """Tell of them."""
    return tell(scenes(n, polygons), config, torch.Generator().manual_seed(seed))


def depths(told_scenes, points):
    """Return how far points (B, n, 3) are in front of the planes: (B, N, n)."""
    planes = told_scenes.surroundings.planes
    return planes[..., :3] @ points.transpose(1, 2) - planes[..., 3:]


def area_of(outlines):
    """Return the areas of outlines (B, C, 2), positive if they are counterclockwise."""
    after = outlines.roll(-1, dims=1)
    return (outlines[..., 0] * after[..., 1] - outlines[..., 1] * after[..., 0]).sum(dim=1) / 2


@pytest.mark.parametrize('polygons', [False, True])
def test_exact_planes_are_the_walls(polygons):
    """Each corner lies on two walls, whose ends it is; floor and ceiling are level."""
    scene = told(EXACT, polygons)
    corners, surroundings = scene.outline, scene.surroundings
    n = corners.shape[1]
    real = torch.isfinite(surroundings.std)
    assert not surroundings.std[real].any()
    assert real.sum(dim=1).tolist() == [8 if polygons else 6] * MANY
    at = torch.cat([corners, torch.zeros(MANY, n, 1)], dim=-1)
    on = (depths(scene, at)[:, :n].abs() < 1e-4) & real[:, :n, None]
    assert int(on.sum(dim=1).min()) >= 2
    tangent = surroundings.planes[:, :n, :2].flip(-1) * torch.tensor([-1.0, 1.0])
    along = tangent @ corners.transpose(1, 2)
    low, high = (surroundings.ends[:, :n, k, None] for k in (0, 1))
    at_end = ((along - low).abs() < 1e-4) | ((along - high).abs() < 1e-4)
    assert bool((on & at_end).sum(dim=1).ge(2).all())
    level = surroundings.planes[:, n:]
    assert (level[:, 0, 2] == 1).all() and (level[:, 1, 2] == -1).all()
    torch.testing.assert_close(-level[:, 1, 3], scenes(polygons=polygons).room_dims[:, 2])


@pytest.mark.parametrize('polygons', [False, True])
def test_scenes_are_turned_as_a_whole(polygons):
    """Distances stay, also from the walls of boxes; half of the rooms are mirrored."""
    before, after = scenes(polygons=polygons), told(EXACT, polygons)
    here, there = (torch.cat([s.mic_positions, s.talkers], dim=1) for s in (before, after))
    torch.testing.assert_close(torch.cdist(there, there), torch.cdist(here, here), atol=2e-3,
                               rtol=1e-3)
    torch.testing.assert_close(there[..., 2], here[..., 2])
    torch.testing.assert_close(after.talkers[:, 0], after.source_position)
    assert (area_of(after.outline) > 0).all()
    if polygons:
        torch.testing.assert_close(area_of(after.outline), area_of(before.outline),
                                   rtol=1e-3, atol=1e-3)
    else:
        own = torch.cat([here, before.room_dims[:, None] - here], dim=2)  # (B, n, 6)
        torch.testing.assert_close(depths(after, there).transpose(1, 2).sort(dim=2)[0],
                                   own.sort(dim=2)[0], atol=1e-3, rtol=1e-3)
    orientation = [torch.linalg.det(points[:, 1:4] - points[:, :1]).sign()
                   for points in (here, there)]
    assert 0.35 < float((orientation[0] != orientation[1]).float().mean()) < 0.65


def test_turned_scenes_are_turned_by_any_angle():
    """The others by right angles."""
    for share in (0.0, 0.5):
        normal = told(replace(EXACT, turned=share)).surroundings.planes[:, 0, :2]
        along_an_axis = (normal.abs().amin(dim=1) < 1e-5).float().mean()
        assert float(along_an_axis) == pytest.approx(1 - share, abs=0.12)


def test_search_areas_hold_the_rooms():
    """Tight ones follow the walls, others are larger by as much as is said."""
    for config in (EXACT, replace(EXACT, tight=0.0, growth=(1.2, 2.0))):
        scene = told(config, polygons=True)
        low, high = scene.surroundings.area.unbind(dim=1)
        torch.testing.assert_close(scene.room_dims, high - low)
        corners = scene.outline
        assert (corners >= low[:, None, :2] - 1e-4).all()
        assert (corners <= high[:, None, :2] + 1e-4).all()
        assert (low[:, 2] == 0).all()  # nobody searches below a floor that is known
        ratio = (high - low)[:, :2] / (corners.amax(dim=1) - corners.amin(dim=1))
        if config is EXACT:
            torch.testing.assert_close(scene.surroundings.outline, corners)
            torch.testing.assert_close(ratio, torch.ones_like(ratio))
        else:
            assert scene.surroundings.outline is None
            assert 1.19 < float(ratio.min()) < 1.3 and 1.9 < float(ratio.max()) < 2.01


def test_outlines_are_boxes_where_areas_are_not_tight():
    """In a batch all scenes have an outline, if one has."""
    scene = told(replace(EXACT, tight=0.5), polygons=True)
    outline, area = scene.surroundings.outline, scene.surroundings.area
    box = (area[:, 1] - area[:, 0])[:, :2].prod(dim=1)
    follows = (outline - scene.outline).abs().amax(dim=(1, 2)) < 1e-5
    assert 0.3 < float(follows.float().mean()) < 0.7
    torch.testing.assert_close(area_of(outline)[~follows], box[~follows])


def test_rough_planes_are_off_by_about_their_standard_deviation():
    """Floors exactly by what they say, walls too where they pass the microphones."""
    scene = told(replace(ROUGH, rough_std=(0.02, 0.2), yaw_std=math.radians(3)))
    true = told(replace(EXACT, shares=(1.0, 0.0, 0.0, 0.0, 0.0)))
    std = scene.surroundings.std
    assert torch.isfinite(std).all() and 0.01 < float(std.min()) < float(std.max()) < 0.4
    torch.testing.assert_close(scene.mic_positions, true.mic_positions)
    # Where the walls are nearest to the microphones, whatever else they are turned by.
    mics = scene.mic_positions.mean(dim=1, keepdim=True)
    off = (depths(scene, mics) - depths(true, mics))[..., 0]
    relative = off / std
    assert abs(float(relative.mean())) < 0.1
    # Walls are vaguer than they are here, because of angles that only count further away.
    assert 0.85 < float(relative[:, 4:].square().mean().sqrt()) < 1.15
    assert 0.6 < float(relative[:, :4].square().mean().sqrt()) < 1.1
    angle = (scene.surroundings.planes[:, 0, :3] * true.surroundings.planes[:, 0, :3]).sum(
        dim=1).clamp(max=1).acos()
    assert math.radians(0.5) < float(angle.mean()) < math.radians(3)


def test_wrong_planes_say_that_they_are_exact():
    """And are off all the same."""
    wrong = told(replace(EXACT, shares=(0.0, 0.0, 1.0, 0.0, 0.0), wrong_std=0.05))
    true = told(EXACT)
    assert not wrong.surroundings.std.any()
    mics = wrong.mic_positions
    off = (depths(wrong, mics) - depths(true, mics)).abs().mean()
    assert 0.005 < float(off) < 0.1


def test_some_walls_or_none_are_known():
    """Where none is, only floor and ceiling may be."""
    some = torch.isfinite(
        told(replace(EXACT, shares=(0.0, 0.0, 0.0, 1.0, 0.0))).surroundings.std)
    assert 0.2 < float(some[:, :4].float().mean()) < 0.8
    none = torch.isfinite(told(NONE).surroundings.std)
    assert not none[:, :4].any()
    assert float(none[:, 4].float().mean()) == pytest.approx(NONE.floor_known, abs=0.12)
    assert not (none[:, 5] & ~none[:, 4]).any() and none[:, 5].any()
    nothing = told(replace(NONE, floor_known=0.0))
    assert not torch.isfinite(nothing.surroundings.std).any()
    assert len(nothing.surroundings.one(0).planes) == 0


def test_search_areas_may_end_before_the_talker():
    """In as many scenes as are asked for and are long enough, and never with nothing left."""
    cut = told(replace(EXACT, outside=1.0))
    whole = told(EXACT)
    low, high = cut.surroundings.area.unbind(dim=1)
    talker = cut.source_position
    outside = ((talker < low) | (talker > high))[:, :2].any(dim=1)
    assert 0.3 < float(outside.float().mean()) < 1
    assert (high - low)[:, :2].min() > 2
    assert (low >= whole.surroundings.area[:, 0]).all()
    assert (high <= whole.surroundings.area[:, 1]).all()
    inside = whole.source_position
    assert (inside >= whole.surroundings.area[:, 0] - 1e-4).all()
    assert (inside <= whole.surroundings.area[:, 1] + 1e-4).all()


def test_seeds_reproduce():
    """The same seed tells the same, another one something else."""
    config = ToldWalls((0.2, 0.2, 0.2, 0.2, 0.2), outside=0.3)
    one, same, other = (told(config, seed=seed, n=20).surroundings for seed in (0, 0, 1))
    for name in ('area', 'planes', 'std', 'ends', 'outline'):
        torch.testing.assert_close(getattr(one, name), getattr(same, name), rtol=0, atol=0)
    assert not torch.equal(one.planes, other.planes)


def test_errors_of_reported_rooms_do_not_move_the_walls():
    """What is told starts from the true room, and its true dimensions are not kept."""
    made = scenes()
    reported = replace(made, room_dims=1.1 * made.room_dims, true_room_dims=made.room_dims,
                       true_mic_positions=made.mic_positions,
                       mic_positions=made.mic_positions + 0.05)
    one = tell(reported, EXACT, torch.Generator().manual_seed(0))
    other = told(EXACT)
    torch.testing.assert_close(one.surroundings.planes, other.surroundings.planes)
    torch.testing.assert_close(one.true_mic_positions, other.mic_positions)
    assert one.true_room_dims is None
    assert float((one.mic_positions - one.true_mic_positions).abs().mean()) > 0.03
