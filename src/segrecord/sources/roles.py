"""What a folder is among the others: images or masks, train or test, a class, or nothing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from segrecord.sources.words import Name, Role, read_name, split_of, split_of_folder, split_within

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Folder = tuple[str, ...]
"""A folder's path below the source, by its parts."""


class Seat(NamedTuple):
    """What is known of a folder that holds images or masks."""

    role: Role
    split: str | None
    place: Folder
    """Its path without the parts that name a role or a split: a mask's image has the same."""
    label: str | None
    """The folder's class, if class folders are what these are."""
    beside: bool
    """It lies beside folders of images and masks without being either."""
    shown: str
    """The path as the sentence shows it, for example "{class}/images/"."""


def seats(
    folders: Collection[Folder],
    masks_by_content: Collection[Folder] = (),
    *,
    soft: bool,
    outer: bool = False,
) -> dict[Folder, Seat]:
    """What each folder that holds image files is.

    Args:
        folders: the folders that directly hold image files.
        masks_by_content: those in which every file is named like a mask.
        soft: whether words within names, contents and neighbours count as well as whole names.
        outer: whether all within a folder of masks are masks, whatever the names of folders there.
    """
    wrapper = _shared_depth(folders)
    names = {part: read_name(part, soft=soft) for folder in folders for part in folder}
    holders = _holders(folders, masks_by_content, names)
    roles = {
        folder: _roles(folder, names, wrapper, holders.get(folder, _NONE)) for folder in folders
    }
    if soft:
        _by_content(roles, masks_by_content)
        if not any("mask" in parts for parts in roles.values()):
            _drop_words(roles, names)
        _by_neighbour(roles)
    if outer:
        _within_masks(roles)
    both = _parents_of_both(roles)
    splits = _splits(roles)
    return {
        folder: _seat(
            folder, roles[folder], names, wrapper, holders.get(folder, _NONE), both, splits
        )
        for folder in folders
    }


def masks_by_name(folders: Collection[Folder]) -> bool:
    """Whether the name of a folder, or a word within, is one of masks."""
    wrapper = _shared_depth(folders)
    parts = {part for folder in folders for part in folder[wrapper:]}
    return any(read_name(part, soft=True).role == "mask" for part in parts)


def _shared_depth(folders: Collection[Folder]) -> int:
    """How many parts all these paths begin with."""
    first, last = min(folders, default=()), max(folders, default=())
    return next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
        min(len(first), len(last)),
    )


def _holders(
    folders: Collection[Folder], masks_by_content: Collection[Folder], names: dict[str, Name]
) -> dict[Folder, frozenset[int]]:
    """The parts of paths that are called like images or masks and hold a set of both.

    Such a name ("data", "Dataset_with_GT") tells nothing apart: there are folders of masks and
    others below it, and nothing outside is its counterpart. One that lies in another is found
    first.

    Returns:
        The places of these parts, of each folder that has any.
    """
    masks = set(masks_by_content)
    # Most folders are one of thousands that differ in a name without a role: a case, a class.
    plain = {
        folder: tuple(part if names[part].role else "" for part in folder) for folder in folders
    }
    paths = {(path, folder in masks) for folder, path in plain.items()}
    names = names | {"": Name("", None, exact=False)}
    holders: set[Folder] = set()
    while found := _found(paths, names, holders):
        holders |= found
    places = {path: frozenset(_places(path, holders)) for path, _ in paths}
    return {folder: places[path] for folder, path in plain.items() if places[path]}


def _places(path: Folder, holders: set[Folder]) -> list[int]:
    return [i for i in range(len(path)) if path[: i + 1] in holders]


def _found(
    paths: Collection[tuple[Folder, bool]], names: dict[str, Name], holders: set[Folder]
) -> set[Folder]:
    """The holders that show once these are known."""
    total: Counter[Role] = Counter()
    within: dict[Folder, Counter[Role]] = {}
    below: dict[Folder, set[Role]] = {}
    for path, is_mask in paths:
        roles = _by_names(path, names, holders)
        if is_mask:
            roles = [role or "mask" for role in roles]
        total[roles[0]] += 1
        for depth, part in enumerate(path, 1):
            if names[part].role and path[:depth] not in holders:
                within.setdefault(path[:depth], Counter())[roles[0]] += 1
                if depth < len(path):
                    below.setdefault(path[:depth], set()).add(roles[depth])
    return {
        holder
        for holder, kinds in below.items()
        if "mask" in kinds
        and len(kinds) > 1
        and (other := _COUNTERPARTS.get(names[holder[-1]].role)) is not None
        and total[other] == within[holder][other]
    }


_COUNTERPARTS: dict[Role, Role] = {"image": "mask", "mask": "image"}


def _by_names(folder: Folder, names: dict[str, Name], holders: set[Folder]) -> list[Role]:
    """The role of the path from each of its parts on: by the last whole name, or the last word."""
    word: Role = ""
    whole: Role = ""
    roles: list[Role] = []
    for i in range(len(folder) - 1, -1, -1):
        name = names[folder[i]]
        if folder[: i + 1] not in holders:
            whole = whole or (name.role if name.exact else "")
            word = word or name.role
        roles.append(whole or word)
    return [*reversed(roles), ""]


_NONE: frozenset[int] = frozenset()


def _roles(
    folder: Folder, names: dict[str, Name], wrapper: int, holders: frozenset[int]
) -> list[Role]:
    """The role of each part; words within names count only where no whole name does.

    Parts that all folders share (a set's own name, "Dataset_with_GT") tell nothing apart, and
    neither do those that hold images and masks.
    """
    exact = any(names[part].exact for i, part in enumerate(folder) if i not in holders)
    return [
        names[part].role
        if i not in holders and (names[part].exact or (not exact and i >= wrapper))
        else ""
        for i, part in enumerate(folder)
    ]


def _by_content(roles: dict[Folder, list[Role]], masks: Collection[Folder]) -> None:
    for folder in masks:
        if folder and not any(roles[folder]):
            roles[folder][-1] = "mask"


def _drop_words(roles: dict[Folder, list[Role]], names: dict[str, Name]) -> None:
    """Without masks, `normal_images` is a class rather than a role; `train_images` is a split."""
    for folder, parts in roles.items():
        for i, part in enumerate(folder):
            if not names[part].exact and names[part].split is None:
                parts[i] = ""


def _by_neighbour(roles: dict[Folder, list[Role]]) -> None:
    """The one other folder beside a folder of masks holds the images, whatever its name."""
    children: dict[Folder, dict[str, Role]] = {}
    for folder, parts in roles.items():
        for i, part in enumerate(folder):
            children.setdefault(folder[:i], {})[part] = parts[i]
    for parent, found in children.items():
        bare = [name for name, role in found.items() if not role]
        kinds = set(found.values())
        if kinds == {"mask", ""} and len(bare) == 1 and parent not in roles:
            _give_role(roles, (*parent, bare[0]))


def _within_masks(roles: dict[Folder, list[Role]]) -> None:
    for parts in roles.values():
        if "mask" in parts:
            parts[:] = ["mask" if role == "image" else role for role in parts]


def _give_role(roles: dict[Folder, list[Role]], images: Folder) -> None:
    depth = len(images)
    for folder, parts in roles.items():
        if folder[:depth] == images and not any(parts):
            parts[depth - 1] = "image"


def _parents_of_both(roles: dict[Folder, list[Role]]) -> set[Folder]:
    """The folders that directly hold both a folder of images and a folder of masks."""
    held: dict[Folder, set[Role]] = {}
    for folder, parts in roles.items():
        for i, role in enumerate(parts):
            held.setdefault(folder[:i], set()).add(role)
    return {parent for parent, kinds in held.items() if {"image", "mask"} <= kinds}


def _splits(roles: dict[Folder, list[Role]]) -> dict[Folder, str | None]:
    """The split of each folder without a role: by its whole name, or by a word as all beside it."""
    children: dict[Folder, set[str]] = {}
    for folder, parts in roles.items():
        for i, part in enumerate(folder):
            if not parts[i]:
                children.setdefault(folder[:i], set()).add(part)
    found = {}
    for parent, names in children.items():
        within = {name: split_within(name) for name in names}
        # stage1_train beside stage1_test, but not train_station beside bridge.
        several = all(within.values()) and len(set(within.values())) > 1
        for name, split in within.items():
            found[*parent, name] = split if several else split_of_folder(name)
    return found


def _seat(
    folder: Folder,
    parts: Sequence[Role],
    names: dict[str, Name],
    wrapper: int,
    holders: frozenset[int],
    both: set[Folder],
    splits: dict[Folder, str | None],
) -> Seat:
    role: Role = next((role for role in reversed(parts) if role), "")
    first_role = next((i for i, part in enumerate(parts) if part), len(folder))
    of_roles = [names[part].split for i, part in enumerate(folder) if parts[i]]
    outer = [name for part in folder[:wrapper] if (name := split_of(part))]
    bare = [i for i in range(len(folder)) if not parts[i]]
    inner = [i for i in bare if i >= wrapper and i not in holders]
    named = {i: name for i in inner if (name := splits[folder[: i + 1]])}
    split = next((name for name in [*named.values(), *of_roles, *reversed(outer)] if name), None)
    # Kaggle unpacks to training_set/training_set.
    at = {i for i, name in named.items() if name == split}
    inner = [i for i in inner if i not in at]
    labelled = inner[0] if inner and inner[0] < first_role else None
    shown = [
        "{split}" if i in at else "{class}" if i == labelled else _shown(part, i, parts, wrapper)
        for i, part in enumerate(folder)
    ]
    return Seat(
        role,
        split,
        # train1 and train2 are one split, and two places.
        tuple(folder[i] for i in bare if i not in at or not split_of(folder[i])),
        None if labelled is None else folder[labelled],
        not role and any(folder[:i] in both for i in range(len(folder) + 1)),
        "".join(part + "/" for part in shown),
    )


def _shown(part: str, i: int, parts: Sequence[Role], wrapper: int) -> str:
    return part if parts[i] or i < wrapper else "*"
