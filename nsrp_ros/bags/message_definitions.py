"""
The message types that are read from bags, and their definitions.

A bag from before Iron does not contain the definitions of its messages, and they are not installed
without ROS; rosbags itself has the common ones.
"""

from nsrp_ros.audio.message_types import SOURCES

KINDS = {f'{source.package}/msg/{source.message}': source for source in SOURCES.values()}
"""Message types of audio, and the Source that reads them."""
INFO = 'audio_common_msgs/msg/AudioInfo'
TF = 'tf2_msgs/msg/TFMessage'
_ROS_DRIVERS = {
    'audio_common_msgs/msg/AudioData': 'uint8[] data\n',
    'audio_common_msgs/msg/AudioDataStamped':
        'std_msgs/Header header\naudio_common_msgs/AudioData audio\n',
    INFO: 'uint8 channels\nuint32 sample_rate\nstring sample_format\nuint32 bitrate\n'
          'string coding_format\n'}
_MGONZS13 = {  # same names as ros-drivers, but for AudioStamped, which tells them apart
    'audio_common_msgs/msg/AudioData':
        'float32[] float32_data\nint32[] int32_data\nint16[] int16_data\nint8[] int8_data\n'
        'uint8[] uint8_data\n',
    INFO: 'int32 format\nint32 channels\nint32 rate\nint32 chunk\n',
    'audio_common_msgs/msg/Audio':
        'audio_common_msgs/AudioData audio_data\naudio_common_msgs/AudioInfo info\n',
    'audio_common_msgs/msg/AudioStamped':
        'std_msgs/Header header\naudio_common_msgs/Audio audio\n'}
_AUDIO_UTILS = {
    'audio_utils_msgs/msg/AudioFrame':
        'std_msgs/Header header\nstring format\nuint32 channel_count\n'
        'uint32 sampling_frequency\nuint32 frame_sample_count\nuint8[] data\n'}
DEFINITIONS = {
    'audio_common_msgs/msg/AudioData': _ROS_DRIVERS,
    'audio_common_msgs/msg/AudioDataStamped': _ROS_DRIVERS,
    'audio_common_msgs/msg/AudioStamped': _MGONZS13,
    'audio_utils_msgs/msg/AudioFrame': _AUDIO_UTILS}
"""The definitions that each of `KINDS` needs, by type."""
