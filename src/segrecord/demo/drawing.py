"""The embedded default: a synthetic dermoscopy set, drawn from a seed.

What a dermatoscope shows is imitated closely enough that the usual difficulties are there: hairs,
vignettes, dark frames, uneven light, soft and faint borders, several lesions a patient, missing
masks. A global threshold does not solve it (mean IoU of Otsu's below 0.80, tested), while each
border can be seen.

Each image hangs on (seed, index) alone, so any part of the set can be drawn anywhere. All
arithmetic is NumPy's and Pillow's: the same versions on the same kind of processor give the same
bytes.
"""

from __future__ import annotations

import csv
import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from segrecord.errors import EngineError, OutputError, UsageError
from segrecord.executors import EngineFailure, LocalEngine
from segrecord.images import png

if TYPE_CHECKING:
    from collections.abc import Sequence

Shape = tuple[int, int]
"""Height and width, in pixels."""
Plane = npt.NDArray[np.floating[Any]]
"""(H, W), float32, one number a pixel."""
Picture = npt.NDArray[np.floating[Any]]
"""(H, W, 3), float32, RGB as the file's values, 0 to 1."""

DIAGNOSES = ("nevus", "melanoma", "seborrheic_keratosis")
COLUMNS = ("image_id", "diagnosis", "patient_id", "age", "sex", "site")

_SHARES = (0.6, 0.2, 0.2)
_WITHOUT_MASK = 0.05
_SITES = ("back", "abdomen", "chest", "upper extremity", "lower extremity", "face")
_SIZES = ((192, 256), (192, 256), (200, 256), (192, 240))  # height, width in pixels
_IMAGES_OF = (2, 1, 3, 2)  # images of four patients, again and again
_QUALITY = 90  # of the JPEG files
_CHUNK = 10  # images a task
# Domains of the random streams: what is drawn for an image, and what all of a patient's share.
_IMAGE, _PATIENT = 0, 1

# Skin from light to dark, RGB.
_SKIN = np.array([[238, 202, 188], [226, 178, 155], [201, 148, 120], [150, 104, 82]]) / 255
# How strongly pigment takes light away, RGB: melanin near the surface is brown, deep it is blue.
_BROWN = np.array([0.6, 0.95, 1.2], np.float32)
_BLUE = np.array([1.25, 1.0, 0.75], np.float32)
_BLOOD = np.array([0.05, 0.55, 0.5], np.float32)


class Sample(NamedTuple):
    """What stands in metadata.csv of one image, and whether it has a mask."""

    image_id: str
    diagnosis: str
    patient_id: str
    age: int
    """Years."""
    sex: str
    site: str
    has_mask: bool

    @property
    def mask_name(self) -> str:
        """The name of its mask's file."""
        return f"{self.image_id}_segmentation.png"


def draw(directory: str | Path, count: int = 600, seed: int = 0) -> Path:
    """Draw the set: `images/<id>.jpg`, `masks/<id>_segmentation.png` (0 or 255), `metadata.csv`.

    About 5 % of the images have no mask; a patient has 1 to 3 images.

    Args:
        directory: made where it is absent; files of the same names are replaced.
        count: number of images.
        seed: of all that is drawn.

    Returns:
        The directory.

    Raises:
        UsageError: count is below 1, or seed below 0.
        OutputError: the directory cannot be written, or holds images of another drawing.
        EngineError: a worker died twice on the same images.
    """
    if count < 1:
        raise UsageError(f"count must be at least 1, got {count}")
    if seed < 0:
        raise UsageError(f"seed must be at least 0, got {seed}")
    root = Path(directory)
    samples = [sample(seed, index) for index in range(count)]
    files = {root / "images" / f"{facts.image_id}.jpg" for facts in samples}
    files |= {root / "masks" / facts.mask_name for facts in samples if facts.has_mask}
    chunks = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    try:
        for folder in (root / "images", root / "masks"):
            folder.mkdir(parents=True, exist_ok=True)
            # Leftovers of a larger set would be rows without metadata.
            if left := sorted(set(folder.iterdir()) - files):
                raise OutputError(
                    f"{left[0]} does not belong to this set; name another folder or remove it"
                )
        with (root / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(facts[: len(COLUMNS)] for facts in samples)
        with LocalEngine() as engine:
            for _, result in engine.run(functools.partial(draw_chunk, str(root), seed), chunks):
                if isinstance(result, EngineFailure):
                    raise EngineError(f"images of {root} cannot be drawn: {result.message}")
    except OSError as error:
        raise OutputError(f"{root} cannot be written: {error}") from error
    return root


def draw_chunk(directory: str, seed: int, indices: Sequence[int]) -> None:
    """Draw the images and masks of these indices into their folders; a worker's task."""
    for index in indices:
        facts = sample(seed, index)
        pixels, mask = picture(seed, index)
        Image.fromarray(pixels).save(
            Path(directory, "images", f"{facts.image_id}.jpg"), quality=_QUALITY
        )
        if facts.has_mask:
            Path(directory, "masks", facts.mask_name).write_bytes(png.encode(mask))


def _stream(seed: int, domain: int, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, domain, number))))


def _patient(index: int) -> int:
    """The number of the patient that the image shows."""
    rounds, left = divmod(index, sum(_IMAGES_OF))
    within = np.searchsorted(np.cumsum(_IMAGES_OF), left, side="right")
    return rounds * len(_IMAGES_OF) + int(within)


def sample(seed: int, index: int) -> Sample:
    """What is known of the image of this index, without drawing it."""
    patient = _patient(index)
    person, image = _stream(seed, _PATIENT, patient), _stream(seed, _IMAGE, index)
    return Sample(
        image_id=f"DEMO_{index:07d}",
        diagnosis=str(image.choice(DIAGNOSES, p=_SHARES)),
        has_mask=bool(image.random() >= _WITHOUT_MASK),
        site=str(image.choice(_SITES)),
        patient_id=f"P{patient:05d}",
        age=int(person.integers(18, 90)),
        sex=str(person.choice(("female", "male"))),
    )


def picture(seed: int, index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The image (H, W, 3) and its mask (H, W; 0 or 255), both uint8."""
    patient = _patient(index)
    rng = _stream(seed, _IMAGE, index).spawn(1)[0]
    shape = _SIZES[rng.integers(len(_SIZES))]
    skin = _skin(rng, _stream(seed, _PATIENT, patient).spawn(1)[0], shape)
    depth = _depth(rng, shape)
    lesion = _lesion(rng, shape, depth, sample(seed, index).diagnosis)
    view = skin * np.exp(-lesion)
    view, seen = _light(rng, shape, view)
    view = _clutter(rng, shape, view) * seen[..., None]
    view += 0.008 * rng.standard_normal(view.shape, dtype=np.float32)
    mask = (depth > 0) & (seen > 0.5)  # noqa: PLR2004 - half
    pixels = np.clip(view * 255, 0, 255).astype(np.uint8)
    return pixels, mask.astype(np.uint8) * np.uint8(255)


def _noise(rng: np.random.Generator, shape: Shape, cells: int) -> Plane:
    """Smooth noise of about unit deviation, `cells` bumps high."""
    height, width = shape
    grid = rng.standard_normal((cells, max(2, cells * width // height)), dtype=np.float32)
    return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))


def _grid(shape: Shape) -> tuple[Plane, Plane]:
    """Row and column of each pixel, in pixels from the middle."""
    height, width = shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return rows - height / 2, columns - width / 2


def _skin(rng: np.random.Generator, person: np.random.Generator, shape: Shape) -> Picture:
    """Skin: the patient's tone, blotches, fine texture."""
    tone = person.beta(1.2, 1.8) * (len(_SKIN) - 1)
    colour = [np.interp(tone, range(len(_SKIN)), channel) for channel in _SKIN.T]
    blotches = 0.035 * _noise(rng, shape, 4) + 0.02 * _noise(rng, shape, 14)
    redness = 0.08 * _noise(rng, shape, 5) + 0.04 * _noise(rng, shape, 24)
    texture = 0.018 * _noise(rng, shape, 90)
    absorbed = redness[..., None] * _BLOOD + (blotches + texture)[..., None]
    skin: Picture = np.exp(-absorbed) * np.array(colour, np.float32)
    return skin


def _depth(rng: np.random.Generator, shape: Shape) -> Plane:
    """How far within the lesion each pixel lies, in pixels; negative outside.

    An ellipse whose radius is waved by harmonics, and whose border is frayed by noise.
    """
    rows, columns = _grid(shape)
    rows = rows - rng.normal(0, 0.07) * shape[0]
    columns = columns - rng.normal(0, 0.08) * shape[1]
    radius = rng.uniform(0.16, 0.40) * shape[0]
    squeeze, turn = rng.uniform(0.65, 1), rng.uniform(0, math.pi)
    along = math.cos(turn) * columns + math.sin(turn) * rows
    across = (math.cos(turn) * rows - math.sin(turn) * columns) / squeeze
    angles = np.linspace(0, 2 * math.pi, 513)
    wave = np.ones_like(angles)
    for harmonic in range(2, 9):
        size = rng.normal(0, 0.28 / harmonic**1.2)
        wave += size * np.cos(harmonic * angles + rng.uniform(0, 2 * math.pi))
    turns = (np.arctan2(across, along) / (2 * math.pi) % 1 * 512).astype(np.intp)
    rim = radius * np.clip(wave, 0.5, 1.5).astype(np.float32)[turns]
    fray = 2.2 * _noise(rng, shape, 16) + 1.0 * _noise(rng, shape, 40)
    return rim - np.hypot(along, across) + fray


def _soft(depth: Plane, blur: float) -> Plane:
    """1 within, 0 outside, one half on the border, which is about 4 * blur pixels wide."""
    within: Plane = 0.5 + 0.5 * np.tanh(depth / (2 * blur))
    return within


def _dots(rng: np.random.Generator, shape: Shape, many: int, low: float, high: float) -> Plane:
    """Round dots of radius low to high pixels, 0 to 1, anywhere."""
    canvas = Image.new("L", (shape[1], shape[0]))
    brush = ImageDraw.Draw(canvas)
    for row, column, radius in rng.uniform(
        (0, 0, low), (shape[0], shape[1], high), (many, 3)
    ).tolist():
        brush.ellipse((column - radius, row - radius, column + radius, row + radius), fill=255)
    return np.asarray(canvas.filter(ImageFilter.GaussianBlur(0.8)), np.float32) / 255


def _network(rng: np.random.Generator, shape: Shape, spacing: float) -> Plane:
    """A pigment network: a warped honeycomb of dark lines, in patches; about -1 to 1."""
    rows, columns = _grid(shape)
    rows = rows + 2.2 * _noise(rng, shape, 9) + 0.7 * _noise(rng, shape, 30)
    columns = columns + 2.2 * _noise(rng, shape, 9) + 0.7 * _noise(rng, shape, 30)
    turn = rng.uniform(0, math.pi)
    waves = [
        np.cos((math.cos(angle) * columns + math.sin(angle) * rows) * (2 * math.pi / spacing))
        for angle in (turn, turn + math.pi / 3, turn - math.pi / 3)
    ]
    patchy = np.clip(0.55 + 0.5 * _noise(rng, shape, 5), 0, 1)
    return np.asarray(-sum(waves) / 1.5 * patchy, np.float32)


def _strength(rng: np.random.Generator) -> float:
    """How dark the lesion is; every sixth is faint."""
    return float(rng.uniform(0.28, 0.38) if rng.random() < 1 / 6 else rng.uniform(0.45, 0.95))


def _lesion(rng: np.random.Generator, shape: Shape, depth: Plane, diagnosis: str) -> Picture:
    """What the lesion absorbs: where `depth` is positive, as its diagnosis looks."""
    if diagnosis == "nevus":  # evenly brown, with a regular network or with globules
        within = 0.6 * _soft(depth, rng.uniform(0.8, 3)) + 0.4 * _soft(depth, rng.uniform(2, 8))
        tint = 0.9 + 0.14 * _noise(rng, shape, 5) + 0.08 * _noise(rng, shape, 20)
        if rng.random() < 0.65:  # noqa: PLR2004 - share of the nevi with a network
            tint = tint + rng.uniform(0.12, 0.3) * _network(rng, shape, rng.uniform(5, 8))
        else:
            tint = tint + rng.uniform(0.2, 0.45) * _dots(rng, shape, 260, 1.2, 2.6)
        heart = rng.uniform(-0.2, 0.6) * np.clip(depth / 40, 0, 1)
        brown: Picture = (within * np.clip(tint + heart, 0.2, 2))[..., None] * _BROWN
        return _strength(rng) * brown
    if (
        diagnosis == "melanoma"
    ):  # colours without order: blotches, blue veil, red, clearing, streaks
        streaks = rng.uniform(0, 3) * np.maximum(_noise(rng, shape, 26), 0)
        within = 0.7 * _soft(depth + streaks - 1, rng.uniform(0.8, 2.6)) + 0.3 * _soft(depth, 5)
        tint = 1.05 + 0.3 * _noise(rng, shape, 4) + 0.2 * _noise(rng, shape, 9)
        tint = tint + rng.uniform(0, 0.25) * _network(rng, shape, rng.uniform(6, 10))
        tint = tint + 0.5 * _dots(rng, shape, int(rng.integers(20, 150)), 0.9, 2.8)
        veil = np.clip(_noise(rng, shape, 4) - 0.5, 0, 1.2) * np.clip(depth / 15, 0, 1)
        clear = np.clip(_noise(rng, shape, 5) - 1, 0, 1) * np.clip(depth / 12, 0, 1)
        strength = max(0.4, _strength(rng)) * 1.15
        brown = (within * np.clip(tint - 0.8 * clear, 0.3, 2.2))[..., None] * _BROWN
        pink = (np.clip(_noise(rng, shape, 4), 0, 1) * within)[..., None] * _BLOOD
        blue = (0.9 * veil * within)[..., None] * _BLUE
        lesion: Picture = strength * (brown + blue) + 0.3 * pink
        return lesion
    # A keratosis is dull and sharply cut, with ridges, dark plugs and pale cysts.
    within = _soft(depth, rng.uniform(0.5, 1.3))
    ridges = np.sin(5 * _noise(rng, shape, 9) + 2 * _noise(rng, shape, 20))
    tint = 0.95 + rng.uniform(0.1, 0.25) * ridges
    tint = tint + 0.9 * _dots(rng, shape, int(rng.integers(40, 130)), 0.9, 2.6)
    tint = tint - 0.7 * _dots(rng, shape, int(rng.integers(30, 110)), 0.7, 1.8)
    dull = np.array([0.75, 0.95, 1.05], np.float32)
    keratosis: Picture = (0.9 * _strength(rng) * within * np.clip(tint, 0.15, 2.2))[..., None]
    return keratosis * dull


def _light(rng: np.random.Generator, shape: Shape, view: Picture) -> tuple[Picture, Plane]:
    """The view under uneven light; and what the dark round frame leaves to be seen, 0 to 1."""
    rows, columns = _grid(shape)
    reach = math.hypot(*shape) / 2
    turn = rng.uniform(0, 2 * math.pi)
    slope = (math.cos(turn) * columns + math.sin(turn) * rows) / reach
    far = np.hypot(rows, columns) / reach
    vignette = rng.uniform(0.05, 0.75) * far ** rng.uniform(2, 4)
    glow = np.exp(rng.uniform(0, 0.3) * slope - vignette)
    balance = rng.normal(1, 0.03, 3).astype(np.float32)
    lit = view * glow[..., None] * balance
    if rng.random() < 0.25:  # noqa: PLR2004 - share of the images with a frame
        edge = rng.uniform(0.80, 0.97)
        return lit, _soft((edge - far) * reach, 1.0)
    return lit, np.ones(shape, np.float32)


def _clutter(rng: np.random.Generator, shape: Shape, view: Picture) -> Picture:
    """The view under what lies on the skin: hairs, the ticks of a scale, air bubbles in the gel."""
    height, width = shape
    if rng.random() >= 0.35:  # noqa: PLR2004 - share of the shaven
        canvas = Image.new("L", (2 * width, 2 * height))
        brush = ImageDraw.Draw(canvas)
        steps = np.linspace(0, 1, 16)[:, None]
        lean = rng.uniform(0, math.pi)
        for _ in range(int(rng.geometric(0.09))):
            turn = rng.normal(lean, 0.5)
            middle = rng.uniform((0, 0), (2 * width, 2 * height))
            along = np.array([np.cos(turn), np.sin(turn)]) * rng.uniform(0.2, 0.8) * width
            bend = np.array([-along[1], along[0]]) * rng.normal(0, 0.35)
            curve = middle + (2 * steps - 1) * along + (4 * steps * (1 - steps)) * bend
            brush.line([tuple(point) for point in curve.tolist()], 255, int(rng.integers(1, 5)))
        cover = np.asarray(canvas.resize((width, height), Image.Resampling.BOX), np.float32) / 255
        colour = np.array([0.16, 0.11, 0.09], np.float32) + np.float32(rng.uniform(0, 0.12))
        view = view + (0.85 * cover)[..., None] * (colour - view)
    if rng.random() <= 1 / 7:
        canvas = Image.new("L", (width, height))
        brush = ImageDraw.Draw(canvas)
        step, start = rng.uniform(9, 13), rng.uniform(0, 9)
        for tick in range(int((width - start) // step)):
            column = start + tick * step
            brush.line((column, 0, column, 14 if tick % 5 == 0 else 8), 255)
        cover = np.asarray(canvas, np.float32) / 255
        if rng.random() < 0.5:  # noqa: PLR2004 - as often above as below
            cover = cover[::-1]
        view = view * (1 - 0.8 * cover[..., None])
    if rng.random() <= 1 / 3:  # bright rings, and the reflections in them
        canvas = Image.new("L", (width, height))
        brush = ImageDraw.Draw(canvas)
        for _ in range(int(rng.integers(1, 7))):
            row, column, radius = rng.uniform((0, 0, 2), (height, width, 11)).tolist()
            box = (column - radius, row - radius, column + radius, row + radius)
            brush.ellipse(box, outline=150, width=1)
            brush.ellipse((column - 1.5, row - radius, column + 1.5, row - radius + 3), fill=255)
        cover = np.asarray(canvas.filter(ImageFilter.GaussianBlur(0.7)), np.float32) / 255
        view = view + (0.8 * cover)[..., None] * (1 - view)
    return view
