"""TensorFlow itself, imported where it is used: importing the adapter costs nothing."""

from __future__ import annotations

from typing import Any

from segrecord.errors import UsageError


def tensorflow() -> Any:
    """The package TensorFlow.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import tensorflow as tf  # noqa: PLC0415 - heavy, and optional
    except ImportError as error:
        raise UsageError(
            f"this needs TensorFlow: pip install segrecord[tensorflow] ({error})"
        ) from error
    return tf
