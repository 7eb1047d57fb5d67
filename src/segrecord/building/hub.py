"""The head of the card that the Hugging Face Hub reads: YAML between two lines of dashes.

Its keys are those of the Hub's dataset cards; what the user did not say is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from segrecord.building import markdown
from segrecord.building.card_fields import Card
from segrecord.records import schemas
from segrecord.records.manifest import Manifest

LICENCES = {
    "ODC-By-1.0": "odc-by",
    "ODbL-1.0": "odbl",
    "PDDL-1.0": "pddl",
    **{
        name: name.lower()
        for name in (
            *("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "MIT"),
            *("CC-BY-2.0", "CC-BY-2.5", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0"),
            *("CC-BY-NC-2.0", "CC-BY-NC-3.0", "CC-BY-NC-4.0", "CC-BY-ND-4.0"),
            *("CC-BY-NC-ND-3.0", "CC-BY-NC-ND-4.0"),
            *("CC-BY-NC-SA-2.0", "CC-BY-NC-SA-3.0", "CC-BY-NC-SA-4.0"),
            *("CDLA-Sharing-1.0", "CDLA-Permissive-1.0", "CDLA-Permissive-2.0"),
        )
    },
}
"""The Hub's names of licences for data, by SPDX identifier. Sources: the page "Licenses" of the
Hub's documentation, and the SPDX License List."""

_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B")
"""The Hub's size categories, of numbers of up to 3, 4, 5 ... digits."""


def front_matter(manifest: Manifest, fields: Card) -> str:
    """The head of the card.

    Args:
        manifest: of the dataset.
        fields: what the user says of it.
    """
    layout = schemas.layout_of(manifest)
    tasks = ["image-segmentation"] * layout.masks + ["image-classification"] * layout.classes
    digits = len(str(manifest.samples))
    tags = dict.fromkeys(["tfrecord", *fields.tags])
    lines = [
        *_licence(fields.licence),
        *([f"pretty_name: {quoted(fields.name)}"] if fields.name else []),
        *_listed("task_categories", tasks),
        *_listed("size_categories", [_SIZES[min(max(digits - 3, 0), len(_SIZES) - 1)]]),
        *_listed("tags", map(quoted, tags)),
        "viewer: false",  # the Hub reads no TFRecord, and would show findings.csv as the data
    ]
    return "\n".join(["---", *lines, "---", ""])


def _listed(key: str, values: Iterable[str]) -> list[str]:
    lines = [f"- {value}" for value in values]
    return [f"{key}:", *lines] if lines else []


def _licence(licence: str) -> list[str]:
    """One that the Hub knows, or `other` with a name, and a link where there is one."""
    if not licence:
        return []
    if licence in LICENCES:
        return [f"license: {LICENCES[licence]}"]
    name = re.sub(r"[^a-z0-9.]+", "-", licence.lower())[:60].strip("-.") or "other"
    link = [f"license_link: {quoted(licence)}"] * licence.startswith(("http://", "https://"))
    return ["license: other", f"license_name: {quoted(name)}", *link]


def quoted(value: str) -> str:
    """A text as a double-quoted scalar of YAML 1.2, whose escapes Python's are among."""
    return '"' + "".join(_in_quotes(char) for char in value) + '"'


def _in_quotes(char: str) -> str:
    return f"\\{char}" if char in '"\\' else markdown.printable(char)
