"""The dataset's card: what it says of a dataset, and that no name breaks its Markdown or YAML."""

import datetime as dt
import re
import shlex

import pytest
import yaml
from markdown_it import MarkdownIt

import datasets
import segrecord
from make import blob, encoded, files, listing, picture, put
from segrecord.errors import UsageError
from segrecord.export import card as cards
from segrecord.export.card import Card, card, read_card
from segrecord.export.snippets import build_command, flags
from segrecord.format import manifest as manifests
from segrecord.options import Options

NASTY = ["a|b", "x\ny", "`tick`", "[link](http://a.b)", "*em* _em_ __x__", "a_b", "<b>&amp;", "\\"]
NASTY += [
    "~~gone~~",
    "# no heading",
    "ends \\",
    "dög",
    "| --- |",
    "\u202eleft\x7f",
    "$x$",
    "![i](j)",
]
FULL = Card(
    name="Lesions of *one* clinic",
    description="Pictures of skin.\n\n- a list",
    licence="CC-BY-4.0",
    source="https://example.org/data?a=1&b=2",
    citation="@misc{x,\n  title={```}\n}",
    authors=("A. B.", "C|D"),
    version="1.0.0",
    published=dt.date(2026, 1, 31),
    homepage="https://example.org/",
    tags=("skin: lesions", "medical"),
)


def made(folder, **options):
    """A manifest and its index, made without the writer."""
    shards = options.pop("shards", None)
    out = datasets.make(folder, shards, **options)
    return manifests.load(out), datasets.read_index(out)


def built(tmp_path, rows=12, header="image,mask,class,group", **options):
    """A manifest and its index, by the writer: groups of two."""
    lines = []
    for number in range(rows):
        put(tmp_path / f"src/{number}.png", encoded(picture(number)))
        put(tmp_path / f"src/m{number}.png", encoded(blob(number)))
        lines.append(f"{number}.png,m{number}.png,{'ab'[number // 2 % 2]},p{number // 2}")
    source = listing(tmp_path / "src/index.csv", lines, header)
    done = segrecord.build(source, tmp_path / "out", **options)
    return done.manifest, segrecord.open(tmp_path / "out").all_records.shards.index


def text_of(manifest, index, fields=None):
    return card(manifest, index, fields or Card()).decode()


def body(text):
    return text.split("\n---\n", 1)[1]


def cells(text):
    """The texts of the cells of all tables, as a reader of Markdown shows them."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    kinds = [token.type for token in tokens]
    found = []
    for token, kind in zip(tokens[1:], kinds, strict=False):
        if kind in {"td_open", "th_open"}:
            inner = token.children or []
            assert all(part.type in {"text", "code_inline", "text_special"} for part in inner)
            found.append("".join(part.content for part in inner))
    return found


def section(text, title):
    return re.split(r"^## ", text.split(f"## {title}\n", 1)[1], flags=re.MULTILINE)[0]


# What it says.


def test_it_tells_splits_groups_and_that_no_group_is_divided(tmp_path, inline):
    text = text_of(*built(tmp_path, split="train=0.5,val=0.5", group_column="group"))
    splits = section(text, "Splits")
    assert [cells(splits)[i] for i in (0, 1, 4, 5, 6, 9, 10, 11, 14)] == [
        *("split", "records", "groups", "train", "6", "3", "val", "6", "3")
    ]
    assert "Groups that stand in more than one split: none of 6." in splits


def test_a_group_that_stands_in_two_splits_is_told(tmp_path):
    manifest, index = made(tmp_path, shards={"train": (3,), "val": (2,)})  # patient 1: 2 and 3
    assert "Groups that stand in more than one split: 1 of 3." in text_of(manifest, index)


def test_samples_without_a_group_are_told(tmp_path):
    manifest, index = made(tmp_path, shards={"train": (4,), "val": (2,)})
    groups = index["group"].to_pylist()
    for rows, words in (
        (2, "2 samples have no group."),
        (6, "whether pictures of one stand in several splits is not known"),
    ):
        table = index.to_pylist()
        for row, line in enumerate(table):
            line["group"] = None if row < rows else groups[row]
        assert words in text_of(manifest, datasets.index_table(table))


def test_classes_are_counted_by_split_and_samples_without_one_too(tmp_path):
    manifest, index = made(tmp_path, shards={"train": (4, 3), "val": (2,)})
    assert cells(section(text_of(manifest, index), "Classes")) == [
        *("id", "class", "train", "val", "all"),
        *("0", "cat", "4", "1", "5"),
        *("1", "dog", "3", "1", "4"),
    ]
    split = manifest.splits["val"].model_copy(update={"class_counts": {"cat": 1, "dog": 0}})
    bare = manifest.model_copy(update={"splits": manifest.splits | {"val": split}})
    assert cells(section(text_of(bare, index), "Classes"))[-5:] == ["", "(no class)", "0", "1", "1"]


def test_shares_of_mask_classes_are_those_of_the_pixels(tmp_path):
    manifest, index = made(tmp_path, shards={"train": (1,)})
    mask = datasets.sample(0).mask
    shown = cells(section(text_of(manifest, index), "Mask classes"))[4:]
    for row, (number, name) in enumerate(zip((0, 1, 2, 255), (*"abc", "ignore"), strict=True)):
        lit = int((mask == number).sum())
        assert shown[4 * row] == str(number)
        assert shown[4 * row + 1] == dict(enumerate(datasets.MASK_CLASSES)).get(number, name)
        assert shown[4 * row + 2] == f"{100 * lit / mask.size:.3g} %"
        assert shown[4 * row + 3] == str(int(lit > 0))


@pytest.mark.parametrize("schema", ["deeplab", "plain", "raw", "tfds"])
@pytest.mark.parametrize(("masks", "labelled"), [(True, False), (False, True), (False, False)])
def test_what_is_not_there_is_not_told(tmp_path, schema, masks, labelled):
    manifest, index = made(tmp_path, masks=masks, labelled=labelled, schema=schema)
    text = text_of(manifest, index)
    assert ("## Mask classes" in text) is masks
    assert ("## Classes" in text) is labelled
    assert ("image-segmentation" in text) is masks
    assert ("image-classification" in text) is labelled
    assert ("task_categories" in text) is (masks or labelled)
    assert ("9 of 9 samples have no mask" in text) is not masks
    assert "None" not in text.split("## Read it")[0]


def test_unchecked_masks_have_no_shares(tmp_path, inline):
    text = text_of(*built(tmp_path, checks="none"))
    assert "## Mask classes" not in text
    assert "only the header was read" in text
    assert "Not checked: mask values" in text


def test_findings_stand_with_count_level_and_rule(tmp_path):
    manifest, index = made(tmp_path)
    options = manifest.options | {"checks": {"checks": "full", "ignore": ["dark-image"]}}
    manifest = manifest.model_copy(
        update={"findings": {"dark-image": 3, "missing-file": 1}, "options": options}
    )
    checked = section(text_of(manifest, index), "What was checked")
    shown = cells(checked)
    assert shown[4:7] == ["info", "dark-image", "3"]
    assert shown[8:11] == ["error", "missing-file", "1"]
    assert "Of level info because it was asked for: `dark-image`." in checked
    assert "Every file was read, checked and decoded" in checked


def test_no_finding_is_said_too(tmp_path):
    assert "Nothing was found." in text_of(*made(tmp_path))


def test_what_was_not_looked_for_or_left_out_is_told(tmp_path):
    manifest, index = made(tmp_path)
    options = manifest.options | {"checks": {"checks": "basic", "near_duplicates": "off"}}
    manifest = manifest.model_copy(
        update={"not_checked": ("this and that",), "quarantined": 3, "options": options}
    )
    checked = section(text_of(manifest, index), "What was checked")
    assert "Not checked: this and that." in checked
    assert "Not checked: pictures that are nearly the same." in checked
    assert "3 samples were left out: see quarantine.csv." in checked


def test_pseudonyms_are_told_as_what_they_are(tmp_path):
    manifest, index = made(tmp_path)
    text = text_of(manifest.model_copy(update={"pseudonymized": "ab"}), index)
    assert "whoever holds the key file or the original pictures can undo it" in text
    assert "anonym" not in text.replace("pseudonym", "")
    assert "pseudonym" not in text_of(manifest, index)


def test_an_extended_dataset_is_named_by_its_fingerprint(tmp_path):
    manifest, index = made(tmp_path)
    assert "`cafe`" in text_of(manifest.model_copy(update={"extends": "cafe"}), index)


def test_folds_are_explained(tmp_path, inline):
    text = text_of(*built(tmp_path, folds=3, group_column="group"))
    assert "The splits are 3 folds for cross-validation" in text
    assert 'fold=0, part="train"' in text


def test_equal_input_gives_equal_bytes_and_no_place(tmp_path, inline):
    manifest, index = built(tmp_path / "one", 6)
    again = built(tmp_path / "two", 6)
    assert card(manifest, index, FULL) == card(*again, FULL)
    assert str(tmp_path) not in text_of(manifest, index)


# The user's fields.


def test_all_fields_are_told(tmp_path):
    text = text_of(*made(tmp_path), FULL)
    for line in (
        "# Lesions of \\*one\\* clinic",
        "- a list",
        "- Licence: [CC-BY-4.0](https://spdx.org/licenses/CC-BY-4.0.html)",
        "- Source: <https://example.org/data?a=1&b=2>",
        "- Homepage: <https://example.org/>",
        "- Authors: A. B., C\\|D",
        "- Version: 1.0.0",
        "- Published: 2026-01-31",
        "````\n@misc{x,",
    ):
        assert line in text
    assert "No licence is given" not in text


def test_without_fields_it_says_that_the_licence_is_not_known(tmp_path):
    text = text_of(*made(tmp_path))
    assert "# Dataset\n" in text
    assert "No licence is given" in text
    assert "license" not in text


def test_read_card_reads_every_field(tmp_path):
    path = tmp_path / "card.toml"
    path.write_text(
        """name = "Lesions"
description = '''Skin.
More.'''
licence = "CC0-1.0"
source = "https://example.org/x"
citation = "A. B., 2026"
authors = ["A. B."]
version = "2.0.0"
published = 2026-01-31
homepage = "http://example.org"
tags = ["skin", "dög"]
""",
        encoding="utf-8",
    )
    assert read_card(path) == Card(
        name="Lesions",
        description="Skin.\nMore.",
        licence="CC0-1.0",
        source="https://example.org/x",
        citation="A. B., 2026",
        authors=("A. B.",),
        version="2.0.0",
        published=dt.date(2026, 1, 31),
        homepage="http://example.org",
        tags=("skin", "dög"),
    )


def test_an_empty_card_gives_no_field(tmp_path):
    path = tmp_path / "card.toml"
    path.write_bytes(b"\xef\xbb\xbf")  # a BOM, as editors on Windows leave it
    assert read_card(path) == Card()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('license = "MIT"', "there is no field 'license'; did you mean licence?"),
        ("zzz = 1", "there is no field 'zzz'; there are name, description, licence"),
        ("[licence]\nx = 1", "licence must be a text of one line, got {'x': 1}"),
        ("name = 3", 'name must be a text of one line, got 3; write name = "..."'),
        ('name = " "', "name must be a text of one line, got ' '"),
        ('name = "a\\nb"', "name must be a text of one line"),
        ("version = 1.0", 'got 1.0; write version = "..."'),
        ("description = true", "description must be a text, got True"),
        ('citation = ""', "citation must be a text, got ''"),
        ('authors = "A"', "authors must be a list of texts of one line each, got 'A'"),
        ("authors = []", "authors must be a list"),
        ('tags = ["a", 1]', 'write tags = ["...", "..."], or leave it out'),
        ('tags = ["a", ""]', "tags must be a list"),
        ('source = "example.org"', "source must be a URL that begins with http:// or https://"),
        ('source = "https://a b"', "without spaces"),
        ('homepage = "https://a>b"', "homepage must be a URL"),
        ('homepage = "javascript:x"', "homepage must be a URL"),
        ('published = "2026-01-31"', "published must be a date"),
        ("published = 2026-01-31T10:00:00", "write published = 2026-01-31"),
        ("name = ", "is no TOML in UTF-8"),
        ('name = "a"\nname = "b"', "is no TOML in UTF-8"),
        (b'name = "\xff"', "is no TOML in UTF-8"),
    ],
)
def test_a_wrong_card_is_refused_with_field_rule_and_way_out(tmp_path, content, words):
    path = tmp_path / "card.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=re.escape(words)) as caught:
        read_card(path)
    assert str(caught.value).startswith(f"--card {path}")


def test_a_card_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_card(tmp_path / "absent.toml")


# Names that would break the page.


def test_every_name_shows_as_itself_in_a_table():
    found = cells(cards.table(["name", "next"], [[cards.inline(name), "x"] for name in NASTY]))
    assert found[2::2] == [cards.printable(name) for name in NASTY]
    assert found[3::2] == ["x"] * len(NASTY)


@pytest.mark.parametrize("name", NASTY)
def test_every_name_shows_as_itself_in_a_heading(name):
    heading, inline_text, *_ = MarkdownIt("commonmark").parse(f"# {cards.inline(name)}\n")
    assert heading.tag == "h1"
    assert "".join(part.content for part in inline_text.children) == cards.printable(name)


def test_nasty_class_and_mask_names_keep_their_rows(tmp_path):
    manifest, index = made(tmp_path, shards={"train": (2,)})
    for names in (NASTY[:2], NASTY[2:4], NASTY[4:6], NASTY[6:8]):
        split = manifest.splits["train"]
        told = manifest.model_copy(
            update={
                "classes": {name: number for number, name in enumerate(names)},
                "masks": manifest.masks.model_copy(update={"classes": (*names, "hair")}),
                "splits": {
                    "train": split.model_copy(update={"class_counts": dict.fromkeys(names, 1)})
                },
            }
        )
        text = text_of(told, index)
        shown = [cards.printable(name) for name in names]
        assert cells(section(text, "Classes"))[5::4] == shown
        assert cells(section(text, "Mask classes"))[5:12:4] == shown


def test_code_ends_at_its_own_fence_only():
    block = cards.code_block("a\n```\n`````\nb")
    (token,) = MarkdownIt("commonmark").parse(block)
    assert (token.type, token.content) == ("fence", "a\n```\n`````\nb\n")


# The head that the Hugging Face Hub reads.


def head(manifest, fields):
    front = cards.front_matter(manifest, fields)
    assert front.startswith("---\n")
    assert front.endswith("\n---\n")
    return yaml.safe_load(front.strip("-\n"))


def test_the_head_is_yaml_of_the_hubs_keys(tmp_path):
    manifest, _ = made(tmp_path)
    assert head(manifest, FULL) == {
        "license": "cc-by-4.0",
        "pretty_name": "Lesions of *one* clinic",
        "task_categories": ["image-segmentation", "image-classification"],
        "size_categories": ["n<1K"],
        "tags": ["tfrecord", "skin: lesions", "medical"],
        "viewer": False,
    }


@pytest.mark.parametrize(
    ("licence", "told"),
    [
        ("ODbL-1.0", {"license": "odbl"}),
        ("MIT", {"license": "mit"}),
        ("On request, (c) me", {"license": "other", "license_name": "on-request-c-me"}),
        ("???", {"license": "other", "license_name": "other"}),
        (
            "https://a.b/LICENCE",
            {
                "license": "other",
                "license_name": "https-a.b-licence",
                "license_link": "https://a.b/LICENCE",
            },
        ),
    ],
)
def test_a_licence_is_one_that_the_hub_knows_or_other(tmp_path, licence, told):
    found = head(made(tmp_path)[0], Card(licence=licence))
    assert {key: value for key, value in found.items() if key.startswith("license")} == told


@pytest.mark.parametrize(
    ("samples", "size"),
    [
        (1, "n<1K"),
        (999, "n<1K"),
        (1000, "1K<n<10K"),
        (21_000, "10K<n<100K"),
        (10_000_000, "10M<n<100M"),
        (10**12, "100M<n<1B"),
    ],
)
def test_the_size_category_is_that_of_the_samples(tmp_path, samples, size):
    manifest = made(tmp_path)[0].model_copy(update={"samples": samples})
    assert head(manifest, Card())["size_categories"] == [size]


@pytest.mark.parametrize(
    "name", [*NASTY, "---", "- a", ": b", '"', "😀", "\ufeff", "yes", "\u2028"]
)
def test_every_name_is_itself_in_yaml(tmp_path, name):
    assert head(made(tmp_path)[0], Card(name=name, tags=(name,)))["pretty_name"] == name


# The command that makes it again.


def again(manifest):
    """The options that the command gives, as `Options.of` takes them from the command line."""
    language, code = build_command(manifest)
    assert language == "sh"
    words = shlex.split(code)
    assert words[:4] == ["segrecord", "build", "SOURCE", "OUT"]
    found = {}
    for word in words[4:]:
        if word.startswith("--"):
            name = word[2:].replace("-", "_")
            found[name] = True
        else:
            found[name] = word
    return {
        name: int(value) if name in {"seed", "folds"} else value for name, value in found.items()
    }


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"seed": 7, "shards": 2},
        {"split": "train=0.7,val=0.3", "group_column": "group", "keep_columns": ("group",)},
        {"mask_map": "0=background,255=a lesion", "size": (16, 12), "shard_size": "1MB"},
        {"schema": "raw", "one_hot": True, "missing_mask": "zeros"},
        {"schema": "plain", "missing_mask": "ignore", "compression": "gzip"},
        {"schema": "plain", "checks": "basic", "ignore": "dark-image,outlier-size"},
        {"folds": 3, "near_duplicates": "off", "mask_threshold": 9},
    ],
)
def test_the_command_gives_the_options_of_the_build(tmp_path, inline, options):
    manifest, _ = built(tmp_path, **options)
    given = again(manifest)
    given |= {name: int(given[name]) for name in ("shards", "mask_threshold") if name in given}
    read, meant = Options.of(**given), Options.of(**options)
    for group in ("source", "pixels", "checks", "plan", "records"):
        assert getattr(read, group) == getattr(meant, group)


def test_the_command_makes_the_same_bytes(tmp_path, inline):
    options = {"schema": "plain", "missing_mask": "ignore", "split": "a=0.5,b=0.5", "seed": 3}
    manifest, _ = built(tmp_path, **options)
    segrecord.build(tmp_path / "src/index.csv", tmp_path / "twice", **again(manifest))
    first, second = files(tmp_path / "out"), files(tmp_path / "twice")
    assert {name: first[name] for name in first if "tfrecord" in name} == {
        name: second[name] for name in second if "tfrecord" in name
    }


def test_places_are_words_in_capitals_that_the_reader_fills_in(tmp_path):
    manifest, _ = made(tmp_path)
    manifest = manifest.model_copy(
        update={
            "classes": {"b": 0, "a": 1},
            "extends": "cafe",
            "pseudonymized": "ab",
            "findings": {"excluded": 1, "missing-file": 2},
            "options": manifest.options | {"source": {"metadata": ""}},
        }
    )
    _, code = build_command(manifest, card=True)
    for words in (
        "--metadata TABLE",
        "--classes class_mapping.json",
        "--extend EARLIER_DATASET",
        "--exclude MARKS.csv",
        "--pseudonymize KEYFILE",
        "--on-error quarantine",
        "--card CARD.toml",
    ):
        assert words in code


def test_what_no_flag_can_say_is_said_in_python(tmp_path):
    manifest, _ = made(tmp_path)
    columns = {"keep_columns": ("a,b", "c\n'd'")}
    manifest = manifest.model_copy(update={"options": manifest.options | {"source": columns}})
    language, code = build_command(manifest)
    assert language == "python"
    found = {}
    exec(code.replace("import segrecord\n", ""), {"segrecord": Recorder(found)})
    assert found["keep_columns"] == ["a,b", "c\n'd'"]
    assert Options.of(**found).source.keep_columns == columns["keep_columns"]


class Recorder:
    """Takes the place of the module, and keeps what `build` is called with."""

    def __init__(self, found):
        self.found = found

    def build(self, source, out, **options):
        assert (source, out) == ("SOURCE", "OUT")
        self.found.update(options)


def test_flags_with_odd_values_are_quoted_for_the_shell(tmp_path):
    manifest, _ = made(tmp_path)
    source = {"group_column": "patient's id; rm *"}
    manifest = manifest.model_copy(update={"options": manifest.options | {"source": source}})
    assert again(manifest)["group_column"] == source["group_column"]
    assert flags(manifest)["group_column"] == source["group_column"]
