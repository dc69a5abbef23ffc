"""
Localize the talkers in a recorded bag, without ROS: MCAP or SQLite in, MCAP, CSV and a plot out.

    python -m nsrp_ros.bags.localize_bag kitchen.mcap --params config/localize.yaml
    python -m nsrp_ros.bags.localize_bag kitchen --room-dims 6 5 2.8 \
        --microphone-positions 0.5,0.4,1.1 5.6,0.5,0.9 5.5,4.6,1.4

Every window becomes a row of localized.csv: the talker, or why it was skipped. Microphones are
looked up in the bag's /tf and /tf_static at the audio's own time, unless they are given.
"""

from collections import Counter
from dataclasses import dataclass
from dataclasses import replace
import sys

from nsrp_ros.audio.sample_clock import Discontinuity
from nsrp_ros.audio.windowing import level_db
from nsrp_ros.audio.windowing import WindowBuffer
from nsrp_ros.bags.options import make_parser
from nsrp_ros.bags.options import read_options
from nsrp_ros.bags.reader import AudioBag
from nsrp_ros.bags.storage import BagError
from nsrp_ros.bags.writer import draw
from nsrp_ros.bags.writer import OutputBag
from nsrp_ros.bags.writer import write_table
from nsrp_ros.core.model_files import WeightsError
from nsrp_ros.core.stamps import NS
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.pipeline.live import FAINT_DB
from nsrp_ros.tracking.peaks import find_peaks
from nsrp_ros.tracking.tracker import TalkerTracker
from nsrp_ros.tracking.tracker import TrackingConfig
import numpy as np
from tqdm import tqdm

BATCH = 32
"""Windows that are located together, where there is a GPU to share."""


class Skip(Exception):
    """A window that is not localized; the text says why."""


def localize(bag, config, localizer, outputs, on_message=lambda: None):
    """
    Localize every window of a bag.

    Parameters
    ----------
    bag : AudioBag
        Open.
    config : BagConfig
        See there.
    localizer : Localizer
        What locates.
    outputs : OutputBag
        Open; what is found goes in.
    on_message : callable
        Called after each audio message.

    Yields
    ------
    dict
        A row of `bag_outputs.COLUMNS` for each window, and for each message that could not be
        used and each seam in the audio.

    Raises
    ------
    BagError
        Where the bag ends too early, after all rows before it.

    """
    tracker = TalkerTracker(replace(TrackingConfig(), delay=config.window_length / 2))
    for batch in _batches(_found(bag, config, on_message)):
        estimates = iter(_locate_all([found.scene for found in batch if found.scene], localizer))
        for found in batch:
            row = {'stamp_ns': found.stamp_ns,
                   'seconds': round((found.stamp_ns - found.begin_ns) / NS, 6)}
            estimate = next(estimates) if found.scene else Skip(found.skipped)
            if isinstance(estimate, Skip):
                yield {**row, 'skipped': str(estimate)}
            else:
                yield {**row, **_told(estimate, found.stamp_ns, tracker, outputs, config)}


@dataclass(frozen=True)
class _Found:
    """Something in a bag: a scene to be located, or why there is none."""

    stamp_ns: int
    begin_ns: int  # of the audio
    skipped: str = ''
    scene: tuple = ()


def _found(bag, config, on_message):
    """Go through a bag: yield a _Found for each window, bad message and seam."""
    buffer, begin_ns = WindowBuffer(config.window), None
    for chunk in bag.chunks():
        begin_ns = chunk.start_ns if begin_ns is None else begin_ns
        if chunk.problem is not None:
            buffer.reset()  # the samples around a lost chunk do not belong together
            yield _Found(chunk.start_ns, begin_ns, f'{chunk.problem.reason}: {chunk.problem}')
            on_message()
            continue
        for item in buffer.push(chunk.samples, chunk.start_ns, chunk.sample_rate):
            if isinstance(item, Discontinuity):
                yield _Found(item.stamp_ns, begin_ns,
                             f'{item.kind} of {item.seconds:+.3f} s in the audio')
                continue
            try:
                yield _Found(item.stamp_ns, begin_ns, scene=_scene(item, bag, config))
            except Skip as skip:
                yield _Found(item.stamp_ns, begin_ns, str(skip))
        on_message()


def _batches(everything):
    """Yield lists of up to BATCH items; where reading fails, what was read before comes first."""
    batch = []
    try:
        for item in everything:
            batch.append(item)
            if len(batch) == BATCH:
                yield batch
                batch = []
    except BagError:
        yield batch
        raise
    yield batch


def _scene(window, bag, config):
    """Return what `Localizer.locate` is asked of one window, as the node asks it."""
    signals = window.signals
    finite = np.isfinite(signals).all(axis=1)
    if not finite.all():
        raise Skip(f'NaN: in channels {np.flatnonzero(~finite).tolist()}')
    level = level_db(signals)
    if level.max() < config.silence_threshold_db:
        raise Skip('silence')
    positions, missing = microphones(bag, config, window.stamp_ns, len(signals))
    if len(positions) != len(signals):
        raise Skip(f'channel count: the audio has {len(signals)} channels, but {len(positions)} '
                   'microphones are given')
    positions = positions - np.asarray(config.room_origin)
    heard = np.isfinite(level) & (level >= np.median(level[np.isfinite(level)]) - FAINT_DB)
    usable = np.isfinite(positions).all(axis=1) & heard
    if usable.sum() < config.min_microphones:
        raise Skip(f'too few microphones: {usable.sum()} of {len(usable)} are usable: '
                   + ('; '.join(missing.values()) or 'channels are dead or silent'))
    return signals[usable], window.sample_rate, positions[usable], config.room_dims


def _locate_all(scenes, localizer):
    """Locate scenes together, or one by one where one cannot be: an Estimate or Skip of each."""
    try:
        return localizer.locate_all(scenes)
    except ValueError:
        return [_locate(scene, localizer) for scene in scenes]


def _locate(scene, localizer):
    try:
        return localizer.locate(*scene)
    except ValueError as error:
        return Skip(f'scene: {error}')


def _told(estimate, stamp_ns, tracker, outputs, config):
    """Write an estimate and the talkers it makes to the outputs; return its part of a row."""
    confident = estimate.confidence >= config.min_confidence
    cells = outputs.grid(estimate)
    talkers = _track(tracker, stamp_ns, estimate, cells, config) if confident else []
    outputs.write(stamp_ns, estimate, cells, talkers, confident)
    told = {'confidence': round(estimate.confidence, 4), 'talkers': ' '.join(
        f'{t.number}:{t.position[0]:.3f}:{t.position[1]:.3f}' for t in talkers if t.talking)}
    if estimate.presence is not None:
        told['presence'] = round(estimate.presence, 4)
    if confident:
        return told | {name: round(float(v + o), 4) for name, v, o in zip(
            'xy', estimate.position, config.room_origin, strict=False)}
    return told | {'skipped': 'low confidence'}


def microphones(bag, config, stamp_ns, n_channels):
    """Return where the microphones were, (M, 3) metres in frame_id, and what is missing."""
    if config.microphone_positions:
        positions = np.reshape(config.microphone_positions, (-1, 3))
        frame = config.microphone_positions_frame or config.frame_id
        if frame == config.frame_id:
            return positions, {}
        try:
            matrix = bag.transform(config.frame_id, frame, stamp_ns)
        except LookupError as error:
            return np.full(positions.shape, np.nan), {frame: str(error)}
        return positions @ matrix[:3, :3].T + matrix[:3, 3], {}
    frames = config.microphone_frames or [
        f'{config.microphone_frame_prefix}{k}' for k in range(n_channels)]
    return bag.positions(config.frame_id, frames, stamp_ns)


def _track(tracker, stamp_ns, estimate, cells, config):
    """Track the talkers of a map just as tracker_node does."""
    values = np.where(cells < 0, np.nan, cells)
    x, y = (o + (np.arange(n) + 0.5) * config.map_resolution
            for o, n in zip(config.room_origin, cells.shape[::-1], strict=False))
    peaks = find_peaks(values, x, y, tracker.config.peaks)
    closer = np.asarray(estimate.position) + config.room_origin[:2]
    if peaks and np.linalg.norm(closer - peaks[0].position) <= tracker.config.peaks.radius:
        peaks[0] = replace(peaks[0], position=closer)
    return tracker.update(stamp_ns, peaks)


def main(arguments=None):
    """Run the command line; return 1 with a sentence where the bag cannot be localized."""
    options = make_parser(__doc__).parse_args(arguments)
    out = options.out or options.bag.with_name(f'{options.bag.stem}_localized')
    try:
        config = read_options(options)
        if out.exists():
            raise ValueError(f'{out} exists already: choose another place with --out')
        localizer = Localizer.load(config.method, options.device)
        with AudioBag(options.bag, options.topic, options.info_topic, config.stamp_marks) as bag:
            print(f'{options.bag}: {bag.count} chunks of audio on {bag.topic}, {config.method}')
            return _run(bag, config, localizer, out)
    except (BagError, ValueError, WeightsError) as error:
        print(error, file=sys.stderr)
        return 1


def _run(bag, config, localizer, out):
    """Localize an open bag into a folder."""
    out.mkdir(parents=True)
    rows, ended = [], bag.damage
    bar = tqdm(total=bag.count, unit='chunk', disable=None)
    with OutputBag(out / 'outputs', config.frame_id, config.room_origin, config.room_dims,
                   config.map_resolution) as outputs, bar:
        try:
            for row in localize(bag, config, localizer, outputs, bar.update):
                rows.append(row)
        except BagError as error:  # what was read before is kept
            ended = f'only a part was read: {error}'
    write_table(rows, out / 'localized.csv')
    middle = rows[len(rows) // 2]['stamp_ns'] if rows else 0
    draw(rows, microphones(bag, config, middle, bag.n_channels)[0], config.room_origin,
         config.room_dims, out / 'localized.png')
    skipped = Counter(row['skipped'].split(':')[0].split(' of ')[0]
                      for row in rows if 'skipped' in row)
    print(f'{len(rows) - sum(skipped.values())} windows localized'
          + ''.join(f', {n} skipped ({reason})' for reason, n in skipped.most_common()))
    print(f'wrote {out}/outputs (MCAP), localized.csv and localized.png')
    if ended:
        print(ended, file=sys.stderr)
    return 1 if ended else 0


if __name__ == '__main__':
    sys.exit(main())
