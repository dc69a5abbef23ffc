"""
Parameters of a node from the fields of a frozen dataclass: declared, validated, changed.

    @dataclass(frozen=True)
    class FollowSettings:
        distance: float = setting(1.2, 'metres to keep', 0.1, 10.0, live=True)

    config = declare_settings(node, FollowSettings)

What is live may change while the node runs: `updated_settings` makes the dataclass anew, so that
its own checks see the new values together; all are taken, or none. The rest is read-only.
"""

from dataclasses import field
from dataclasses import fields
from dataclasses import replace

from rcl_interfaces.msg import FloatingPointRange
from rcl_interfaces.msg import IntegerRange
from rcl_interfaces.msg import ParameterDescriptor
from rcl_interfaces.msg import SetParametersResult
from rclpy.exceptions import ParameterUninitializedException
from rclpy.parameter import Parameter

# An empty list has no type of its own in ROS: a field without a default is declared by its type.
_LIST_TYPES = {tuple[float, ...]: Parameter.Type.DOUBLE_ARRAY,
               tuple[int, ...]: Parameter.Type.INTEGER_ARRAY,
               tuple[str, ...]: Parameter.Type.STRING_ARRAY}


def setting(default, description, low=None, high=None, live=False):
    """
    Make a dataclass field that is a parameter.

    Parameters
    ----------
    default : bool, int, float, str or tuple
        Its type is the parameter's; the annotation says what an empty tuple would hold.
    description : str
        What `ros2 param describe` says.
    low, high : int or float, optional
        The range, for numbers.
    live : bool
        Whether it may change while the node runs.

    Returns
    -------
    dataclasses.Field
        Also with a metadata entry for each of these.

    """
    return field(default=default, metadata={
        'description': description, 'range': (low, high), 'live': live})


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
        default = spec.default
        if isinstance(default, tuple):
            default = list(default) or _LIST_TYPES[spec.type]
        node.declare_parameter(spec.name, default, _descriptor(spec))
        try:
            value = node.get_parameter(spec.name).value
        except ParameterUninitializedException:
            value = None
        if value is not None or spec.default != ():
            values[spec.name] = _fitting(spec, value)
    return config_class(**values)


def updated_settings(config, parameters):
    """
    Apply changes that arrive while the node runs.

    Parameters
    ----------
    config : object
        What is in force, of a dataclass of `setting` fields.
    parameters : list of rclpy.parameter.Parameter
        What somebody asks for; names that are not ours are left alone.

    Returns
    -------
    tuple
        The new configuration and the SetParametersResult; the old one where it was refused.

    """
    ours = {spec.name: spec for spec in fields(config)}
    try:
        changes = {p.name: _fitting(ours[p.name], p.value) for p in parameters if p.name in ours}
        return replace(config, **changes), SetParametersResult(successful=True)
    except (TypeError, ValueError) as error:
        return config, SetParametersResult(successful=False, reason=str(error))


def _fitting(spec, value):
    """Return a parameter's value as the dataclass has it, or refuse it."""
    if value is None:
        raise ValueError(f'{spec.name} must have a value')
    return tuple(value) if isinstance(spec.default, tuple) else value


def _descriptor(spec):
    low, high = spec.metadata['range']
    descriptor = ParameterDescriptor(
        description=spec.metadata['description'], read_only=not spec.metadata['live'])
    if low is not None and spec.type is int:
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
    elif low is not None:
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return descriptor
