"""The Example codec: features in, a serialized `tensorflow.Example` out, and back.

The messages are described in code and live in a private descriptor pool: registering the names
`tensorflow.*` in protobuf's default pool would break a later `import tensorflow`. They run on
protobuf's C implementation (upb). Source: tensorflow/core/example/{example,feature}.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

_Field = descriptor_pb2.FieldDescriptorProto

Value = bytes | str | int | float | Sequence[bytes] | Sequence[int] | Sequence[float]


def _field(
    name: str, number: int, kind: int, *, repeated: bool = False, of: str = ""
) -> descriptor_pb2.FieldDescriptorProto:
    label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    field = _Field(name=name, number=number, type=kind, label=label)
    if of:
        field.type_name = f".tensorflow.{of}"
    return field


def _list_message(name: str, kind: int) -> descriptor_pb2.DescriptorProto:
    return descriptor_pb2.DescriptorProto(
        name=name, field=[_field("value", 1, kind, repeated=True)]
    )


def _feature_message() -> descriptor_pb2.DescriptorProto:
    feature = descriptor_pb2.DescriptorProto(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, kind in enumerate(("BytesList", "FloatList", "Int64List"), start=1):
        field_name = kind.removesuffix("List").lower() + "_list"
        field = _field(field_name, number, _Field.TYPE_MESSAGE, of=kind)
        field.oneof_index = 0
        feature.field.append(field)
    return feature


def _features_message() -> descriptor_pb2.DescriptorProto:
    entry = descriptor_pb2.DescriptorProto(name="FeatureEntry")
    entry.field.append(_field("key", 1, _Field.TYPE_STRING))
    entry.field.append(_field("value", 2, _Field.TYPE_MESSAGE, of="Feature"))
    entry.options.map_entry = True
    features = descriptor_pb2.DescriptorProto(name="Features", nested_type=[entry])
    features.field.append(
        _field("feature", 1, _Field.TYPE_MESSAGE, repeated=True, of="Features.FeatureEntry")
    )
    return features


def _example_class() -> Any:
    """The class of `tensorflow.Example` messages, in a pool of its own."""
    file = descriptor_pb2.FileDescriptorProto(
        name="segrecord/example.proto", package="tensorflow", syntax="proto3"
    )
    example = descriptor_pb2.DescriptorProto(name="Example")
    example.field.append(_field("features", 1, _Field.TYPE_MESSAGE, of="Features"))
    file.message_type.extend(
        [
            _list_message("BytesList", _Field.TYPE_BYTES),
            _list_message("FloatList", _Field.TYPE_FLOAT),
            _list_message("Int64List", _Field.TYPE_INT64),
            _feature_message(),
            _features_message(),
            example,
        ]
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


_Example = _example_class()


def encode(features: Mapping[str, Value]) -> bytes:
    """A serialized Example; the same features give the same bytes, in whatever order they come.

    Args:
        features: a value or a sequence of values of one kind for each key. Text is stored as
            UTF-8, a float as float32, an int as int64.

    Raises:
        TypeError: a value is of another kind.
        ValueError: a sequence is empty (`FixedLenFeature` fails on it), or an int needs over 64
            bits; the message names the key.
    """
    example = _Example()
    feature = example.features.feature
    for key, value in features.items():
        try:
            _put(feature[key], value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"feature {key!r}: {error}") from None
    data: bytes = example.SerializeToString(deterministic=True)
    return data


def _put(feature: Any, value: Value) -> None:
    if isinstance(value, bytes):
        feature.bytes_list.value.append(value)
    elif isinstance(value, str):
        feature.bytes_list.value.append(_utf8(value))
    elif isinstance(value, int):
        feature.int64_list.value.append(value)
    elif isinstance(value, float):
        feature.float_list.value.append(value)
    else:
        _put_many(feature, value)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"text must be encodable as UTF-8, got {text!r}") from None


def _put_many(feature: Any, values: Sequence[bytes] | Sequence[int] | Sequence[float]) -> None:
    if len(values) == 0:  # not `not values`: a NumPy array has no truth
        raise ValueError("a list must hold at least one value, got an empty one")
    first = values[0]
    if isinstance(first, bytes):
        feature.bytes_list.value.extend(values)
    elif isinstance(first, int):
        feature.int64_list.value.extend(values)
    elif isinstance(first, float):
        feature.float_list.value.extend(values)
    else:
        raise TypeError(f"values must be bytes, int or float, got {type(first).__name__}")


def decode(data: bytes) -> dict[str, list[Any]]:
    """The features of a serialized Example, keys ascending; each a list of bytes, int or float.

    Raises:
        ValueError: the bytes are no Example.
    """
    feature = _parsed(data)
    return {key: _values(feature[key]) for key in sorted(feature)}


def _parsed(data: bytes) -> Any:
    """The map of features of a serialized Example."""
    try:
        return _Example.FromString(data).features.feature
    except message.DecodeError as error:
        raise ValueError(f"the data is no tensorflow.Example ({error})") from None


def extract(data: bytes, names: Iterable[str]) -> dict[str, list[Any]]:
    """These features of a serialized Example, as `decode` gives them; absent ones are left out.

    Raises:
        ValueError: the bytes are no Example.
    """
    feature = _parsed(data)
    return {name: _values(feature[name]) for name in names if name in feature}


def _values(feature: Any) -> list[Any]:
    kind = feature.WhichOneof("kind")
    return [] if kind is None else list(getattr(feature, kind).value)
