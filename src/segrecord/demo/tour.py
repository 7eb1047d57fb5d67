"""The verb `demo`: the main job on the drawn set, from pictures to verified shards."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from segrecord import pipeline
from segrecord.demo.drawing import draw
from segrecord.read.lookup import picture_of, read_record
from segrecord.verification.checker import Report

OPTIONS = {
    "label_column": "diagnosis",
    "group_column": "patient_id",
    "keep_columns": "age,sex,site",
    "split": "train=0.8,val=0.1,test=0.1",
}
"""How the demo is built: as a user would build such a set."""


class Tour(NamedTuple):
    """What the demo has made."""

    source: Path
    """Folder with images/, masks/ and metadata.csv."""
    built: pipeline.Built
    report: Report
    picture: Path
    """Image and mask of one record."""


def tour(
    directory: str | Path, count: int = 600, *, monitor: pipeline.Monitor | None = None
) -> Tour:
    """Draw the sample set in a folder, build it, verify it against its source, show a record.

    Args:
        directory: gets `source/`, `dataset/` and `example.png`; a demo already there is replaced.
        count: images to draw.
        monitor: gets the progress.

    Raises:
        SegrecordError: as `draw`, `pipeline.build` and `pipeline.verify`.
    """
    folder = Path(directory)
    source = draw(folder / "source", count)
    built = pipeline.build(
        source,
        folder / "dataset",
        monitor=monitor,
        metadata=str(source / "metadata.csv"),
        overwrite=True,
        **OPTIONS,
    )
    report = pipeline.verify(built.path, source=source, monitor=monitor)
    example = folder / "example.png"
    picture_of(read_record(built.path, "0"), built.manifest).save(example)
    return Tour(source, built, report, example)
