"""Small datasets of K folds, made without the writer."""

import datasets


def make(folder, counts=(5, 4, 6), **options):
    """A dataset of so many records in each fold, two shards each; `options` as of `datasets.make`.

    Record n is `datasets.sample(n)`, fold after fold.
    """
    shards = {f"fold{fold}": (count - 2, 2) for fold, count in enumerate(counts)}
    made = datasets.make(folder, shards, **options)
    datasets.edit_manifest(made, lambda content: content["options"].update(plan=plan_of(counts)))
    return made


def plan_of(counts):
    """The plan options that the manifest of such a dataset holds."""
    return {"folds": len(counts), "split": None}


def keys(counts, fold, part):
    """The keys of a fold's part, in their order."""
    found, number = [], 0
    for own, count in enumerate(counts):
        rows = range(number, number + count)
        number += count
        if (own == fold) == (part == "val"):
            found += [datasets.sample(row).key for row in rows]
    return found
