"""What the readers read: the generated pairs as shards, and the same records as others keep them.

    python benches/reading_data.py SOURCE OUT WORKERS

    OUT/deeplab              a dataset of ours, the images and masks as PNG
    OUT/raw                  the same as pixels
    OUT/records.array_record the same serialized Examples as in OUT/deeplab, in their order
    OUT/records.tar          images, masks and labels of OUT/deeplab, in their order

All is written anew each time, so that it is what the present segrecord writes.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import segrecord

if TYPE_CHECKING:
    from segrecord import Dataset

sys.path.append(str(Path(__file__).parent / "readers"))
import subject


def write_array_record(dataset: Dataset, path: Path) -> None:
    """The serialized Examples, in the form that random access is fastest in."""
    from array_record.python.array_record_module import ArrayRecordWriter

    writer = ArrayRecordWriter(str(path), "group_size:1,uncompressed")
    for number in range(len(dataset)):
        writer.write(dataset.raw(number))
    writer.close()


def write_tar(dataset: Dataset, path: Path) -> None:
    """Three files a record, named as WebDataset wants them."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for number in range(len(dataset)):
            found = dataset.features(number, (subject.IMAGE, subject.MASK, subject.LABEL))
            for ending, data in (
                ("image.png", found[subject.IMAGE][0]),
                ("mask.png", found[subject.MASK][0]),
                ("cls", str(found[subject.LABEL][0]).encode()),
            ):
                member = tarfile.TarInfo(f"{number:08d}.{ending}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def main() -> None:
    """Lay all out, and print where it lies as JSON."""
    source, out, workers = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for schema in ("deeplab", "raw"):
        segrecord.build(source, out / schema, schema=schema, checks="basic", workers=workers)
    dataset = segrecord.open(out / "deeplab")
    array_record, tar = out / "records.array_record", out / "records.tar"
    write_array_record(dataset, array_record)
    write_tar(dataset, tar)
    made = {
        "deeplab": out / "deeplab",
        "raw": out / "raw",
        "array_record": array_record,
        "tar": tar,
        "records": len(dataset),
    }
    print(json.dumps(made, default=str))


if __name__ == "__main__":
    main()
