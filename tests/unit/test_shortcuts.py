"""Classes that size, mode, format or folder give away; and sets where they do not."""

from fractions import Fraction

import numpy as np
import pytest

from scanned import given, scanned, told
from segrecord.checks.class_checks import _accuracies, _Attribute, shortcuts


def rows(count, classes=("a", "b"), **facts):
    """Samples of these classes in turn; a fact is a value, or a function of number and class."""
    made = []
    for number in range(count):
        name = classes[number % len(classes)]
        own = {k: v(number, name) if callable(v) else v for k, v in facts.items()}
        made.append({"labels": (name,), **own})
    return made


def found(*made):
    return list(shortcuts(given(*scanned(*made))))


def by_class(**values):
    """A fact that hangs on the class; others have the value `rest`."""
    return lambda _, name: values.get(name, values["rest"])


def scatter(low, high):
    """A fact that hangs on nothing."""
    return lambda number, _: int(np.random.default_rng(number).integers(low, high))


@pytest.mark.parametrize(
    ("fact", "values", "told_as"),
    [
        ("height", (300, 256), "height"),
        ("width", (300, 256), "width"),
        ("image_mode", ("RGB", "L"), "mode"),
        ("image_format", ("jpeg", "png"), "format"),
    ],
)
def test_an_attribute_that_one_class_alone_has_is_told_with_its_figures(fact, values, told_as):
    (finding,) = found(*rows(60, **{fact: by_class(b=values[0], rest=values[1])}))
    assert told([finding]) == [("warning", "shortcut", "")]
    assert finding.message.startswith(
        f"the {told_as} alone tells class 'a' from the rest in 100 % (balanced; 50 % by chance): "
    )
    assert finding.message.endswith(f"{values[1]} in 100 % of the class and 0 % of the rest")


def test_the_class_that_is_told_best_is_named_among_many():
    mode = by_class(covid="RGB", rest="L")
    (finding,) = found(*rows(120, ("covid", "flu", "normal", "tb"), image_mode=mode))
    assert "tells class 'covid' from the rest in 100 %" in finding.message
    assert finding.message.endswith("RGB in 100 % of the class and 0 % of the rest")


def test_sizes_that_spread_are_sorted_into_bins():
    tall = {"a": scatter(1000, 2000), "b": scatter(200, 900)}
    (finding,) = found(*rows(100, height=lambda number, name: tall[name](number, name)))
    assert "the height alone" in finding.message
    assert " to " in finding.message


def test_a_bin_is_named_by_its_lowest_and_highest_value():
    tall = _Attribute.numeric("height", np.arange(1600))
    assert (tall.values[0], tall.values[-1]) == ("0 to 99", "1500 to 1599")
    assert np.bincount(tall.codes).tolist() == [100] * 16


def test_attributes_that_are_constant_or_hang_on_nothing_are_not_told():
    assert found(*rows(60)) == []
    spread = {"height": scatter(200, 900), "width": scatter(0, 3), "image": lambda n, _: f"{n}.png"}
    assert found(*rows(200, **spread)) == []
    assert found(*rows(200, ("a", "b", "c", "d", "e"), **spread)) == []


def test_a_weak_tie_is_not_told_and_a_strong_one_is():
    def mostly(share):
        return lambda number, name: "L" if (name == "a") == (number // 2 % 10 < share) else "RGB"

    assert found(*rows(400, image_mode=mostly(7))) == []
    (finding,) = found(*rows(400, image_mode=mostly(8)))
    assert "80 %" in finding.message


def test_classes_of_few_samples_tell_nothing():
    mode = by_class(a="L", rest="RGB")
    assert found(*rows(18, image_mode=mode)) == []
    assert len(found(*rows(20, image_mode=mode))) == 1


def test_many_samples_of_few_patients_are_few():
    made = rows(200, image_mode=by_class(a="L", rest="RGB"))
    patients = [row | {"group": f"{row['labels']}{at % 18}"} for at, row in enumerate(made)]
    assert found(*patients) == []
    alone = [row | {"group": f"{row['labels']}{at % 40}"} for at, row in enumerate(made)]
    assert len(found(*alone)) == 1


def test_a_source_folder_that_goes_with_the_class_is_told():
    image = by_class(a="data/hospital/images", rest="data/clinic/images")
    (finding,) = found(*rows(60, image=lambda n, name: f"{image(n, name)}/{n}.png"))
    assert "the source folder alone" in finding.message
    assert ": hospital in 100 %" in finding.message


def test_a_source_above_a_folder_a_patient_is_found():
    (finding,) = found(
        *rows(60, image=lambda n, name: f"{'east' if name == 'a' else 'west'}/patient{n}/x.png")
    )
    assert "the source folder alone" in finding.message


@pytest.mark.parametrize(
    "folder", ["{name}/images", "images_{name}", "Set {name}", "train/{name}", "{number}", "all"]
)
def test_folders_that_name_the_class_or_hold_one_sample_are_no_sources(folder):
    def image(number, name):
        return f"data/{folder.format(name=name, number=number)}/{number}.png"

    assert found(*rows(60, ("covid", "normal"), image=image)) == []


@pytest.mark.parametrize(("folders", "each"), [(12, 5), (66, 10)])
def test_many_folders_and_folders_of_few_samples_are_patients(folders, each):
    def image(number, name):
        return f"{name}{number // 2 % (folders // 2)}/{number}.png"

    assert found(*rows(folders * each, ("x1", "y2"), image=image)) == []


def test_a_few_folders_of_many_samples_are_sources():
    def image(number, name):
        return f"{'east' if name == 'x1' else 'west'}{number // 2 % 3}/{number}.png"

    assert len(found(*rows(60, ("x1", "y2"), image=image))) == 1


def one_by_one(codes, classes):
    """The same as `_accuracies`, sample by sample."""
    told = []
    for kind in range(int(classes.max()) + 1):
        own = classes == kind
        right = {True: [], False: []}
        for at in range(len(codes)):
            others = np.arange(len(codes)) != at
            same = others & (codes == codes[at])
            mine = Fraction(int((same & own).sum()), int((others & own).sum()))
            rest = Fraction(int((same & ~own).sum()), int((others & ~own).sum()))
            yes = 0.5 if mine == rest else float(mine > rest)
            right[bool(own[at])].append(yes if own[at] else 1 - yes)
        told.append((np.mean(right[True]) + np.mean(right[False])) / 2)
    return told


@pytest.mark.parametrize("seed", range(20))
def test_what_is_told_is_what_leaving_out_one_by_one_gives(seed):
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.repeat(np.arange(3), (4, 9, 15)))
    codes = rng.integers(0, 1 + seed % 5, len(classes))
    assert _accuracies(codes, classes) == pytest.approx(one_by_one(codes, classes))


def test_a_class_with_a_short_name_is_not_seen_in_every_folder():
    def image(number, name):
        return f"{'data-east' if name == 'a' else 'data-west'}/{number}.png"

    assert len(found(*rows(60, image=image))) == 1


def test_a_large_set_is_looked_at_by_samples_of_each_class(monkeypatch):
    from segrecord.checks import class_checks as module

    monkeypatch.setattr(module, "MOST", 60)
    classes = ("a",) * 9 + ("b",)
    (finding,) = found(*rows(400, classes, image_mode=by_class(b="RGB", rest="L")))
    assert "100 %" in finding.message
    _, numbers, names = module._chosen(given(*scanned(*rows(400, classes))))
    assert names == ["a", "b"]
    assert np.bincount(numbers).tolist() == [30, 30]


def test_sets_without_classes_or_sizes_and_empty_ones_have_no_shortcut():
    assert found() == []
    assert found(*rows(60, ("a",), image_mode="L")) == []
    assert found(*[{"labels": ()}] * 30) == []
    assert found(*rows(60, height=None, image_mode=by_class(a="L", rest="RGB"))) == []
    assert found(*[{"labels": ("a", "b")}] * 30) == []
