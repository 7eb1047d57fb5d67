"""The Example codec: features in, a serialized `tensorflow.Example` out, and back.

The messages are described in code and live in a private descriptor pool: registering the names
`tensorflow.*` in protobuf's default pool would break a later `import tensorflow`. They run on
protobuf's C implementation (upb). Source: tensorflow/core/example/{example,feature}.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

_LISTS: tuple[tuple[type, str], ...] = (
    (bytes, "bytes_list"),
    (int, "int64_list"),
    (float, "float_list"),
)

Value = bytes | str | int | float | Sequence[bytes] | Sequence[int] | Sequence[float]


def _example_class() -> Any:
    """The class of `tensorflow.Example` messages, in a pool of its own."""
    kinds = descriptor_pb2.FieldDescriptorProto

    def field(
        name: str, number: int, kind: int, of: str = "", **more: Any
    ) -> descriptor_pb2.FieldDescriptorProto:
        label = kinds.LABEL_REPEATED if more.pop("repeated", False) else kinds.LABEL_OPTIONAL
        if of:
            more["type_name"] = f".tensorflow.{of}"
        return kinds(name=name, number=number, type=kind, label=label, **more)

    def message_of(
        name: str, *fields: descriptor_pb2.FieldDescriptorProto
    ) -> descriptor_pb2.DescriptorProto:
        return descriptor_pb2.DescriptorProto(name=name, field=fields)

    names = ("BytesList", "FloatList", "Int64List")
    numbers = (kinds.TYPE_BYTES, kinds.TYPE_FLOAT, kinds.TYPE_INT64)
    lists = [
        message_of(name, field("value", 1, kind, repeated=True))
        for name, kind in zip(names, numbers, strict=True)
    ]
    feature = message_of(
        "Feature",
        *(
            field(f"{name[:-4].lower()}_list", number, kinds.TYPE_MESSAGE, name, oneof_index=0)
            for number, name in enumerate(names, start=1)
        ),
    )
    feature.oneof_decl.add(name="kind")
    entry = message_of(
        "FeatureEntry",
        field("key", 1, kinds.TYPE_STRING),
        field("value", 2, kinds.TYPE_MESSAGE, "Feature"),
    )
    entry.options.map_entry = True
    of = "Features.FeatureEntry"
    features = message_of("Features", field("feature", 1, kinds.TYPE_MESSAGE, of, repeated=True))
    features.nested_type.append(entry)
    example = message_of("Example", field("features", 1, kinds.TYPE_MESSAGE, "Features"))
    file = descriptor_pb2.FileDescriptorProto(
        name="segrecord/example.proto", package="tensorflow", syntax="proto3"
    )
    file.message_type.extend([*lists, feature, features, example])
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
            single = isinstance(value, bytes | str | int | float)
            values: Any = [value] if single else value
            if isinstance(value, str):
                values = [value.encode()]
            if len(values) == 0:  # not `not values`: a NumPy array has no truth
                raise ValueError("a list must hold at least one value, got an empty one")  # noqa: TRY301 - the key is added below
            name = next((name for kind, name in _LISTS if isinstance(values[0], kind)), None)
            if name is None:
                kind = type(values[0]).__name__
                raise TypeError(f"values must be bytes, int or float, got {kind}")  # noqa: TRY301 - as above
            getattr(feature[key], name).value.extend(values)
        except UnicodeEncodeError:
            rule = f"text must be encodable as UTF-8, got {value!r}"
            raise ValueError(f"feature {key!r}: {rule}") from None
        except (TypeError, ValueError) as error:
            raise type(error)(f"feature {key!r}: {error}") from None
    data: bytes = example.SerializeToString(deterministic=True)
    return data


def decode(data: bytes) -> dict[str, list[Any]]:
    """The features of a serialized Example, keys ascending; each a list of bytes, int or float.

    Raises:
        ValueError: the bytes are no Example.
    """
    feature = _parsed(data)
    return {key: _values(feature[key]) for key in sorted(feature)}


def extract(data: bytes, names: Iterable[str]) -> dict[str, list[Any]]:
    """These features of a serialized Example, as `decode` gives them; absent ones are left out.

    Raises:
        ValueError: the bytes are no Example.
    """
    feature = _parsed(data)
    return {name: _values(feature[name]) for name in names if name in feature}


def _parsed(data: bytes) -> Any:
    """The map of features of a serialized Example."""
    try:
        return _Example.FromString(data).features.feature
    except message.DecodeError as error:
        raise ValueError(f"the data is no tensorflow.Example ({error})") from None


def _values(feature: Any) -> list[Any]:
    kind = feature.WhichOneof("kind")
    return [] if kind is None else list(getattr(feature, kind).value)
