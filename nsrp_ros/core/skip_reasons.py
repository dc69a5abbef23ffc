"""
Why audio is not used, windows are not located, and estimates are not published: one enumeration.

Nodes count by these reasons in /diagnostics, bags write them into their tables, the soak test
balances its account with them, and docs/reference/skip_reasons.md is made of them.
"""

from enum import Enum


class SkipReason(str, Enum):
    """
    A reason; its value is the words under which diagnostics and tables show it.

    Attributes
    ----------
    meaning : str
        What happened and what helps, a sentence for people.
    of_window : bool
        Whether it says what became of a window that was cut: such a window is not located.
    is_fault : bool
        Whether something is wrong; the others are logged for those who debug only.

    """

    meaning: str
    of_window: bool
    is_fault: bool

    def __new__(cls, words: str, meaning: str, of_window: bool = False,
                is_fault: bool = True) -> 'SkipReason':
        """Make a member of its words and what they stand for."""
        member = str.__new__(cls, words)
        member._value_ = words
        member.meaning, member.of_window, member.is_fault = meaning, of_window, is_fault
        return member

    def __str__(self) -> str:
        """Return the words."""
        return str(self.value)

    # The stream of audio: no window spans one of these.
    GAP = 'gap', 'chunks are missing between two stamps; what was buffered before is dropped'
    OVERLAP = 'overlap', 'a chunk came twice, late, or with a stamp before its time'
    CLOCK_JUMP = 'clock jump', 'the stamps have jumped by a second or more'
    FORMAT_CHANGE = 'format change', 'sample rate or number of channels have changed'
    # A chunk of audio: it is dropped, and so is what was buffered before it.
    NO_AUDIO_INFO = 'no audio_info', 'audio arrives, but no AudioInfo says what it is'
    NOT_WAVE = 'not wave', 'the audio is compressed; capture it as plain samples'
    SAMPLE_FORMAT = 'sample format', 'the sample format is unknown or contradicts the samples'
    SAMPLE_RATE = 'sample rate', 'the sample rate is none for speech'
    TRUNCATED = 'truncated', 'a chunk does not hold whole frames of all channels'
    ONE_BYTE = 'one byte', 'a driver has cast 16-bit samples to single bytes'
    RATE_MISMATCH = ('pace', 'chunks hold more or less audio than there is time for: rate, format '
                     'or number of channels are not as claimed')
    CHANNEL_COUNT = ('channel count', 'the audio has another number of channels than there are '
                     'microphones', True)
    # A window: it was cut, and cannot be trusted.
    NAN = 'NaN', 'a channel holds NaN or infinity', True
    SILENCE = 'silence', 'the loudest channel is below silence_threshold_db', True, False
    NO_ROOM = 'no room', 'nothing has said yet where the room is and how large', True
    TOO_FEW_MICROPHONES = ('too few microphones', 'fewer microphones than min_microphones have '
                           'sound, a known position and a synchronised clock', True)
    SCENE = 'scene', 'positions, room and audio contradict one another', True
    QUEUE_FULL = 'queue full', 'the localizer is slower than the audio', True
    STOPPED = 'stopped', 'the node was stopped before the window was located', True, False
    ERROR = 'error', 'the method has failed; the sentence says how', True
    # An estimate: the map is published, and no pose.
    LOW_CONFIDENCE = 'low confidence', 'the confidence is below min_confidence', False, False
    # What nodes behind the localizer could not use.
    BAD_MAP = 'bad map', 'a likelihood map cannot be read'
    BAD_TRACKS = 'bad tracks', 'talker tracks cannot be read'
    NO_ROBOT = 'no robot', "the robot's place is not known"
    FRAMES = 'frames', 'map and tracks are in different frames'
