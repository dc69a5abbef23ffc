"""
Parameters of a node from the fields of a frozen dataclass: declared, described, validated.

    @dataclass(frozen=True)
    class FollowConfig:
        distance: float = setting(1.0, 'metres that are kept from the talker', 0.1, 10.0)

    config = declare_settings(node, FollowConfig)
"""

from dataclasses import field
from dataclasses import fields

from rcl_interfaces.msg import FloatingPointRange
from rcl_interfaces.msg import IntegerRange
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.parameter import Parameter


def setting(default, description, low=None, high=None):
    """
    Make a dataclass field that is a read-only parameter.

    Parameters
    ----------
    default : bool, int, float or str
        Its type is the parameter's.
    description : str
        What `ros2 param describe` says.
    low, high : int or float, optional
        The range, for numbers.

    Returns
    -------
    dataclasses.Field
        Also with a metadata entry for each of these.

    """
    return field(default=default, metadata={'description': description, 'range': (low, high)})


def declare_settings(node, config_class):
    """
    Declare every field of a dataclass on a node and read what the user set.

    Parameters
    ----------
    node : rclpy.node.Node
        Where they are declared.
    config_class : type
        A dataclass of `setting` fields.

    Returns
    -------
    object
        An instance of it.

    Raises
    ------
    ValueError, rclpy.exceptions.ParameterException
        With a sentence about the value that is wrong.

    """
    values = {}
    for spec in fields(config_class):
        low, high = spec.metadata['range']
        descriptor = ParameterDescriptor(
            description=spec.metadata['description'], read_only=True)
        if low is not None and isinstance(spec.default, int):
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
        elif low is not None:
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        found = node.declare_parameter(spec.name, spec.default, descriptor)
        if found.type_ == Parameter.Type.NOT_SET:
            raise ValueError(f'{spec.name} must have a value')
        values[spec.name] = found.value
    return config_class(**values)
