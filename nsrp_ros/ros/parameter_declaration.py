"""
Node parameters from the fields of a frozen dataclass: declaration, validation, changes.

    @dataclass(frozen=True)
    class FollowSettings:
        distance: float = setting(1.2, 'metres to keep', 0.1, 10.0, live=True)

    config = declare_settings(node, FollowSettings)

Live parameters may change while the node runs: `updated_settings` makes a new instance, so that
the dataclass checks the new values together; all are accepted, or none. The others are read-only.
"""

from dataclasses import Field
from dataclasses import fields
from dataclasses import replace
from typing import Any
from typing import ClassVar
from typing import Protocol
from typing import TypeVar

from rcl_interfaces.msg import FloatingPointRange
from rcl_interfaces.msg import IntegerRange
from rcl_interfaces.msg import ParameterDescriptor
from rcl_interfaces.msg import SetParametersResult
from rclpy.exceptions import ParameterUninitializedException
from rclpy.node import Node
from rclpy.parameter import Parameter


class Dataclass(Protocol):
    """Any instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


Settings = TypeVar('Settings', bound=Dataclass)
# An empty list has no type in ROS: such a field is declared by the type instead of a default.
_LIST_TYPES: dict[Any, Parameter.Type] = {
    tuple[float, ...]: Parameter.Type.DOUBLE_ARRAY,
    tuple[int, ...]: Parameter.Type.INTEGER_ARRAY,
    tuple[str, ...]: Parameter.Type.STRING_ARRAY}


def declare_settings(node: Node, config_class: type[Settings]) -> Settings:
    """
    Declare every field of a dataclass as a parameter and read the values that the user set.

    Parameters
    ----------
    node : rclpy.node.Node
        The node of the parameters.
    config_class : type
        A dataclass of `setting` fields.

    Returns
    -------
    object
        An instance of it.

    Raises
    ------
    ValueError, rclpy.exceptions.ParameterException
        With a sentence about the invalid value.

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
            values[spec.name] = _converted(spec, value)
    return config_class(**values)


def updated_settings(config: Settings, parameters: list[Parameter]
                     ) -> tuple[Settings, SetParametersResult]:
    """
    Apply changes of parameters while the node runs.

    Parameters
    ----------
    config : object
        The settings in force, of a dataclass of `setting` fields.
    parameters : list of rclpy.parameter.Parameter
        The requested changes; parameters that are no fields of the dataclass are ignored.

    Returns
    -------
    tuple
        The new settings, or the old ones where a change was refused, and the
        SetParametersResult.

    """
    specs = {spec.name: spec for spec in fields(config)}
    try:
        changes = {p.name: _converted(specs[p.name], p.value)
                   for p in parameters if p.name in specs}
        return replace(config, **changes), SetParametersResult(successful=True)
    except (TypeError, ValueError) as error:
        return config, SetParametersResult(successful=False, reason=str(error))


def _converted(spec: 'Field[Any]', value: Any) -> Any:
    """Convert a parameter's value to that of the field; ValueError if there is none."""
    if value is None:
        raise ValueError(f'{spec.name} must have a value')
    return tuple(value) if isinstance(spec.default, tuple) else value


def _descriptor(spec: 'Field[Any]') -> ParameterDescriptor:
    low, high = spec.metadata['range']
    descriptor = ParameterDescriptor(
        description=spec.metadata['description'], read_only=not spec.metadata['live'])
    if low is not None and spec.type is int:
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
    elif low is not None:
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return descriptor
