r"""
Localize the talkers in a recorded bag, without ROS: MCAP or SQLite in, MCAP, CSV and a plot out.

    python -m nsrp_ros.bags.localize_bag kitchen.mcap --params config/localize.yaml
    python -m nsrp_ros.bags.localize_bag kitchen --room-dims 6 5 2.8 \
        --microphone-positions 0.5,0.4,1.1 5.6,0.5,0.9 5.5,4.6,1.4

Every window becomes a row of localized.csv: the talker, or why it was skipped. Microphones are
looked up in the bag's /tf and /tf_static at the time of the audio, unless they are given.
"""

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
import sys
from typing import Any

from nsrp_ros.audio.sample_clock import Discontinuity
from nsrp_ros.audio.windowing import Window
from nsrp_ros.audio.windowing import WindowBuffer
from nsrp_ros.bags.options import BagConfig
from nsrp_ros.bags.options import make_parser
from nsrp_ros.bags.options import read_options
from nsrp_ros.bags.reader import AudioBag
from nsrp_ros.bags.storage import BagError
from nsrp_ros.bags.writer import OutputBag
from nsrp_ros.bags.writer import plot
from nsrp_ros.bags.writer import write_table
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.model_files import WeightsError
from nsrp_ros.core.skip_reasons import SkipReason
from nsrp_ros.core.stamps import NS
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.pipeline.screening import check_channels
from nsrp_ros.pipeline.screening import locate_all
from nsrp_ros.pipeline.screening import make_scene
from nsrp_ros.pipeline.screening import MicrophonePositions
from nsrp_ros.pipeline.screening import Scene
from nsrp_ros.pipeline.screening import usable_microphones
from nsrp_ros.pipeline.screening import WindowSkipped
from nsrp_ros.pipeline.talkers import LikelihoodMap
from nsrp_ros.pipeline.talkers import MapTracker
from nsrp_ros.tracking.tracking_config import TrackingConfig
import numpy as np
from tqdm import tqdm

BATCH = 32
"""Windows that are located together, which on a GPU is faster."""
_REASON = 'reason'  # key of a skipped row's SkipReason, which is not written to the table


def localize(bag: AudioBag, config: BagConfig, localizer: Localizer, outputs: OutputBag,
             on_message: Callable[[], object] = lambda: None) -> Iterator[dict[str, Any]]:
    """
    Localize every window of a bag.

    Parameters
    ----------
    bag : AudioBag
        Open.
    config : BagConfig
        See there.
    localizer : Localizer
        Locates the talkers.
    outputs : OutputBag
        Open; estimates and talkers are written to it.
    on_message : callable
        Called after each audio message.

    Yields
    ------
    dict
        A row of `writer.COLUMNS` for each window, each message that could not be decoded and
        each discontinuity of the audio; a skipped row has its `reason` as well.

    Raises
    ------
    BagError
        Where the bag ends too early, after all rows before it.

    """
    tracker = MapTracker(replace(TrackingConfig(), delay=config.window_length / 2))
    for batch in _batches(_read(bag, config, on_message)):
        outcomes = iter(locate_all(localizer, [item.scene for item in batch if item.scene]))
        for item in batch:
            row = {'stamp_ns': item.stamp_ns,
                   'seconds': round((item.stamp_ns - item.begin_ns) / NS, 6)}
            outcome = next(outcomes) if item.scene else item.skipped
            if isinstance(outcome, Estimate):
                yield {**row, **_write(outcome, item.stamp_ns, tracker, outputs, config)}
            elif outcome is not None:
                yield {**row, **_skipped(outcome.reason, str(outcome))}


@dataclass(frozen=True)
class _Item:
    """A scene to be located, or why something in the bag was skipped."""

    stamp_ns: int
    begin_ns: int  # start of the bag's audio
    skipped: WindowSkipped | None = None
    scene: Scene | None = None


def _skipped(reason: SkipReason, sentence: str = '') -> dict[str, Any]:
    """Return the columns of a skipped row; the text names the reason once."""
    text = sentence if sentence.startswith(str(reason)) else ': '.join(
        filter(None, (str(reason), sentence)))
    return {'skipped': text, _REASON: reason}


def _read(bag: AudioBag, config: BagConfig, on_message: Callable[[], object]) -> Iterator[_Item]:
    """Read a bag: yield an _Item for each window, faulty message and discontinuity."""
    buffer, begin_ns = WindowBuffer(config.window), None
    for chunk in bag.chunks():
        begin_ns = chunk.start_ns if begin_ns is None else begin_ns
        if chunk.problem is not None:
            buffer.reset()  # the samples around a lost chunk are not contiguous
            yield _Item(chunk.start_ns, begin_ns,
                        WindowSkipped(chunk.problem.reason, str(chunk.problem)))
            on_message()
            continue
        assert chunk.samples is not None
        for item in buffer.push(chunk.samples, chunk.start_ns, chunk.sample_rate):
            if isinstance(item, Discontinuity):
                yield _Item(item.stamp_ns, begin_ns, WindowSkipped(
                    item.kind, f'{item.kind} of {item.seconds:+.3f} s in the audio'))
                continue
            try:
                yield _Item(item.stamp_ns, begin_ns, scene=_scene(item, bag, config))
            except WindowSkipped as skipped:
                yield _Item(item.stamp_ns, begin_ns, skipped)
        on_message()


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """Yield lists of up to BATCH items; where reading fails, first those read before."""
    batch: list[_Item] = []
    try:
        for item in items:
            batch.append(item)
            if len(batch) == BATCH:
                yield batch
                batch = []
    except BagError:
        yield batch
        raise
    yield batch


def _scene(window: Window, bag: AudioBag, config: BagConfig) -> Scene:
    """Return the scene of one window, screened as the node screens it."""
    channels = check_channels(window.signals, config.silence_threshold_db)
    positions = microphones(bag, config, window.stamp_ns, len(window.signals))
    return make_scene(window, usable_microphones(channels, positions), positions, config.room,
                      config.min_microphones)


def _write(estimate: Estimate, stamp_ns: int, tracker: MapTracker, outputs: OutputBag,
           config: BagConfig) -> dict[str, Any]:
    """Write an estimate and the tracked talkers to the outputs; return their columns."""
    confident = estimate.confidence >= config.min_confidence
    likelihood_map = LikelihoodMap.of_estimate(estimate, config.room, config.map_resolution)
    position = np.asarray(estimate.position) + config.room_origin[:2]
    talkers = tracker.update(stamp_ns, likelihood_map, position) if confident else []
    outputs.write(stamp_ns, estimate, likelihood_map, talkers, confident)
    row: dict[str, Any] = {
        'confidence': round(estimate.confidence, 4), 'talkers': ' '.join(
            f'{t.number}:{t.position[0]:.3f}:{t.position[1]:.3f}' for t in talkers if t.talking)}
    if estimate.presence is not None:
        row['presence'] = round(estimate.presence, 4)
    if confident:
        return row | {name: round(float(v), 4) for name, v in zip('xy', position, strict=True)}
    return row | _skipped(SkipReason.LOW_CONFIDENCE)


def microphones(bag: AudioBag, config: BagConfig, stamp_ns: int,
                n_channels: int) -> MicrophonePositions:
    """Return the positions of the microphones at a time, in frame_id, and what is missing."""
    if config.microphone_positions:
        positions = np.reshape(config.microphone_positions, (-1, 3))
        frame = config.microphone_positions_frame or config.frame_id
        if frame == config.frame_id:
            return MicrophonePositions(positions)
        try:
            matrix = bag.transform(config.frame_id, frame, stamp_ns)
        except LookupError as error:
            return MicrophonePositions(np.full(positions.shape, np.nan), {frame: str(error)})
        return MicrophonePositions(positions @ matrix[:3, :3].T + matrix[:3, 3])
    frames = config.microphone_frames or [
        f'{config.microphone_frame_prefix}{k}' for k in range(n_channels)]
    return MicrophonePositions(*bag.positions(config.frame_id, frames, stamp_ns))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 1 with a sentence where the bag cannot be localized."""
    options = make_parser(__doc__ or '').parse_args(arguments)
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


def _run(bag: AudioBag, config: BagConfig, localizer: Localizer, out: Path) -> int:
    """Localize an open bag and write the results to a folder."""
    out.mkdir(parents=True)
    rows, ended = [], bag.damage
    progress = tqdm(total=bag.count, unit='chunk', disable=None)
    with OutputBag(out / 'outputs', config.frame_id, config.room) as outputs, progress:
        try:
            for row in localize(bag, config, localizer, outputs, progress.update):
                rows.append(row)
        except BagError as error:  # the rows before it are kept
            ended = f'only a part was read: {error}'
    write_table(rows, out / 'localized.csv')
    print(f'wrote {out}/outputs (MCAP) and localized.csv')
    middle = rows[len(rows) // 2]['stamp_ns'] if rows else 0
    try:
        plot(rows, microphones(bag, config, middle, bag.n_channels).positions, config.room
             ).savefig(out / 'localized.png', dpi=120)
        print(f'drew {out}/localized.png')
    except ImportError:  # matplotlib is optional
        print('no picture was drawn: matplotlib is not installed')
    skipped = Counter(str(row[_REASON]) for row in rows if _REASON in row)
    print(f'{len(rows) - sum(skipped.values())} windows localized'
          + ''.join(f', {n} skipped ({reason})' for reason, n in skipped.most_common()))
    if ended:
        print(ended, file=sys.stderr)
    return 1 if ended else 0


if __name__ == '__main__':
    sys.exit(main())
