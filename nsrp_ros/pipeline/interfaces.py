"""What `Pipeline` needs of others: settings, microphones, the room, and a place for its counts."""

from collections.abc import Mapping
from typing import Protocol

from nsrp_ros.core.config import WindowConfig
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.skip_reasons import SkipReason
from nsrp_ros.pipeline.screening import MicrophonePositions
from nsrp_ros.pipeline.settings import Room


class PipelineSettings(Protocol):
    """The settings that a pipeline reads, such as ros/localizer_parameters.NodeConfig."""

    @property
    def audio_topics(self) -> tuple[str, ...]:
        """Return the topic of each device."""

    @property
    def topic_channels(self) -> tuple[int, ...]:
        """Return the number of channels of each topic; 0 where only the audio shows it."""

    @property
    def stamps(self) -> str:
        """Return what stamps mark: 'start', 'end' or 'arrival'."""

    @property
    def window(self) -> WindowConfig:
        """Return how windows are cut."""

    @property
    def device_clocks(self) -> str:
        """Return 'shared' or 'separate'."""

    @property
    def device_timeout(self) -> float:
        """Return the seconds of audio that a device may lag behind the others."""

    @property
    def max_clock_offset(self) -> float:
        """Return the largest offset between the clocks of two devices, seconds."""

    @property
    def queue_size(self) -> int:
        """Return how many windows may wait."""

    @property
    def transform_timeout(self) -> float:
        """Return the seconds that a window waits for a transform."""

    @property
    def silence_threshold_db(self) -> float:
        """Return the level below which a window is silent, dB full scale."""

    @property
    def min_microphones(self) -> int:
        """Return the fewest microphones that an estimate may rest on."""


class Microphones(Protocol):
    """Where the microphones are."""

    def positions(self, stamp_ns: int, n_channels: int) -> MicrophonePositions:
        """Return where they were at a time; ValueError for another number of channels."""


class RoomSource(Protocol):
    """The room, or why it is not known."""

    room: Room | None
    problem: str


class PipelineDiagnostics(Protocol):
    """Counts what happens in a pipeline, such as ros/localizer_diagnostics.py."""

    def received(self, topic: str) -> None:
        """Note that a chunk of audio arrived."""

    def cut(self) -> None:
        """Count a window that was cut from the audio."""

    def located(self, estimate: Estimate, stamp_ns: int, seconds: float) -> None:
        """Count a window that was located."""

    def skip(self, reason: SkipReason, sentence: str) -> None:
        """Count something that was not used."""

    def skip_window(self, reason: SkipReason, sentence: str) -> None:
        """Count a window that was cut and will not be located."""

    def microphones(self, n_usable: int, n_all: int, missing: Mapping[str, str]) -> None:
        """Note how many microphones a window could use, and why not the others."""

    def channels(self, faulty: Mapping[str, list[int]]) -> None:
        """Note the numbers of faulty channels by kind of fault."""

    def devices(self, absent: Mapping[str, str], clocks: Mapping[str, str]) -> None:
        """Note which devices are absent from a window, and the state of their clocks."""
