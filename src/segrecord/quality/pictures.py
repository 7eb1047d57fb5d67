"""What a picture shows, by its statistics and its size: nothing at all, or something else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from segrecord.errors import Finding
from segrecord.quality.flat import Flags, highest, named, numbers

MIN_DEVIATION = 1.0
"""Grey levels. Below that in every channel the values are one, give or take the rounding of a
decoder: JPEG leaves 0 of a picture of one colour at any quality (measured); the flattest of 150
pictures of nine public sets, one of nuclei, has 7.1."""

ALMOST_ALL = 99
"""Per cent of the values in the outermost of the histogram's 32 bins: below 8, or from 248 on."""

FLAT = 8.0
"""Grey levels: one bin of the histogram. Few bright spots on black are a picture: the darkest of
the nuclei images of the Data Science Bowl 2018 at hand deviates by 9.7, with 96 % below 8."""

STRIP = 4
"""A side over 4 times the other: dental panoramas have about 2, radiographs of a spine 3."""

ODD = 3.5
"""Modified z-score from which a value counts as an outlier: Iglewicz and Hoaglin 1993."""

NORMAL = 0.6745
"""The median absolute deviation of a normal distribution, in standard deviations."""

ODD_FACTOR = 4
"""... and a factor of the median area: half or twice the side is still the same kind."""

FEW = 20
"""... and at most one in so many: more are a kind of their own."""


def flat_pictures(samples: pa.Table, facts: pa.Table) -> Iterator[Finding]:
    """Pictures of one colour, and such that are almost all black or white."""
    deviation = highest(facts["deviation"])
    dark, bright = _outermost(facts["histogram"])
    constant = deviation < MIN_DEVIATION
    flat = (deviation < FLAT) & ~constant
    level = 65535 * ALMOST_ALL
    yield from _constant(samples, facts, constant)
    for code, shares, what in (
        ("dark-image", dark, "black: {share} % of its values are below 8 of 255"),
        ("bright-image", bright, "white: {share} % of its values are 248 or more of 255"),
    ):
        rows = np.flatnonzero(flat & (shares * 100 >= level))
        for (key, path), share in zip(named(samples, rows), shares[rows].tolist(), strict=True):
            message = "it is almost " + what.format(share=share * 1000 // 65535 / 10)
            yield _nothing(code, key, path, message)


def _constant(samples: pa.Table, facts: pa.Table, constant: Flags) -> Iterator[Finding]:
    for key, path, mean in named(samples, np.flatnonzero(constant), facts["mean"]):
        colour = ", ".join(f"{level:.0f}" for level in mean)
        yield _nothing("constant-image", key, path, f"all its pixels have one value: {colour}")


def _nothing(code: str, key: str, path: str, message: str) -> Finding:
    fix = "look at it; leave it out if it shows nothing"
    return Finding("warning", code, key, path, message, fix)


def _outermost(histograms: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(N,) the shares, of 65535, of the lowest and the highest bin; 0 where there is none."""
    ends = [np.zeros((0, 2), np.int64)]
    for chunk in histograms.chunks:
        there, valid = np.zeros((len(chunk), 2), np.int64), chunk.drop_null()
        if len(valid):
            shares = np.frombuffer(valid.buffers()[1], "<u2").reshape(-1, 32)
            own = shares[valid.offset : valid.offset + len(valid)]
            there[chunk.is_valid().to_numpy(zero_copy_only=False)] = own[:, [0, 31]]
        ends.append(there)
    both = np.concatenate(ends)
    return both[:, 0], both[:, 1]


class _Sizes(NamedTuple):
    """Heights and widths (N,) of the images as oriented, in pixels; 0: unknown."""

    height: npt.NDArray[np.int64]
    width: npt.NDArray[np.int64]

    def named(self, samples: pa.Table, flags: Flags) -> Iterator[tuple[Any, ...]]:
        return named(
            samples, np.flatnonzero(flags), *(pa.chunked_array([pa.array(x)]) for x in self)
        )


def strips(samples: pa.Table, facts: pa.Table) -> Iterator[Finding]:
    """Images that are many times as long as they are wide."""
    sizes = _Sizes(numbers(facts["height"]), numbers(facts["width"]))
    long, short = np.maximum(*sizes), np.minimum(*sizes)
    for key, path, height, width in sizes.named(samples, long > STRIP * short):
        sides = max(height, width) / min(height, width)
        message = f"one side is {sides:.3g} times the other: {height}x{width} (height x width)"
        fix = "look at it; leave it out if it is a strip of something else"
        yield Finding("warning", "extreme-aspect", key, path, message, fix)


def odd_sizes(samples: pa.Table, facts: pa.Table) -> Iterator[Finding]:
    """The few images whose area is far from that of the others."""
    sizes = _Sizes(numbers(facts["height"]), numbers(facts["width"]))
    known = sizes.height > 0
    if not known.any():
        return
    area = np.log2(np.maximum(sizes.height * sizes.width, 1))
    median = np.median(area[known])
    away = np.abs(area - median)
    spread = np.median(away[known])
    odd = known & (away >= np.log2(ODD_FACTOR)) & (NORMAL * away > ODD * spread)
    if FEW * np.count_nonzero(odd) > np.count_nonzero(known):
        return
    usual = round(2 ** (median / 2))
    for key, path, height, width in sizes.named(samples, odd):
        message = (
            f"it has {height}x{width} pixels (height x width), the median of all is an area of "
            f"{usual}x{usual}"
        )
        fix = "look at it: a thumbnail, or a picture of another kind?"
        yield Finding("warning", "outlier-size", key, path, message, fix)
