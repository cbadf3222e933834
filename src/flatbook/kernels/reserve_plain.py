"""Plain twin of `reserve`: lots are dropped one by one, and everything is summed anew after each."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int8]

SLOT_AXES = 3
"""The first axes are bounded by expiry, too."""


def reserve_plain(
    unit: Floats,
    reach: Floats,
    room: Floats,
    cost: Floats,
    slot: Ints,
    slot_limit: Floats,
    lot: Floats,
    held: Floats,
    position: Floats,
    reduce_only: bool,
    through: float,
    worth: Floats,
    told: Ints,
    loose: Ints,
    unsure: Codes,
    grid: Ints,
    worst: Floats,
    least: Floats,
    refused: Ints,
) -> None:
    """Plain twin of `reserve`: lots are dropped one by one, and everything is summed anew after each."""
    n, axes, wanted = len(held), len(unit), grid[1::2]
    standing = (told[1::2, :n] + loose[:, :n]) * lot
    changed = (told[:, :n] != grid).any(axis=0) | (unsure[:n] != 0)
    if reduce_only:
        changed |= ((wanted[0] > 0) & (held >= 0)) | ((wanted[1] > 0) & (held <= 0))
    for s, side in enumerate((1.0, -1.0)):
        beyond = ~changed & (wanted[s] > 0) & (standing[s] > position - side * held + 1e-9)
        refused[axes + 1] += int(beyond.sum())
        changed |= beyond
        wanted[s] = np.where(beyond, 0, wanted[s])
        space = np.where(side * held < 0, np.abs(held), 0.0) if reduce_only else position - side * held
        space = np.maximum(np.floor((space - np.minimum(standing[s], through)) / lot + 1e-9), 0)
        cut = changed & (wanted[s] > space)
        refused[axes + 1] += int(cut.sum())
        wanted[s] = np.where(cut, space, wanted[s])
    slots, margin = slot_limit.shape[1], cost.reshape(2, n)
    bounds = [(a, sign, np.ones(n, np.bool_), room[d, a]) for a in range(axes) for d, sign in enumerate((1.0, -1.0))]
    for a in range(SLOT_AXES):
        for here in (slot == j for j in range(slots)):
            book = float(np.sum(np.where(here, unit[a, :n] * held, 0.0)))
            limit = slot_limit[a, slot[here][0]] if here.any() else np.inf
            bounds += [(a, sign, here, limit - sign * book) for sign in (1.0, -1.0)]
    for number, (a, sign, here, left) in enumerate(bounds):
        if number == 2 * axes and room[0, axes] < np.inf:
            refused[axes] += _fit_plain(margin, standing, changed, room[0, axes], through, worth, lot, wanted)
        push = np.where(here, np.maximum(sign * np.stack([unit[a, :n], -unit[a, :n]]), 0.0), 0.0)
        reason = a if number < 2 * axes else axes + 2
        refused[reason] += _fit_plain(push, standing, changed, left, through, worth, lot, wanted)
    grid[0], grid[2] = np.where(wanted[0] > 0, grid[0], 0), np.where(wanted[1] > 0, grid[2], 0)
    coin = standing + changed * wanted * lot
    worst[:, axes] = _heaviest_plain(margin, coin, through) if room[0, axes] < np.inf else 0.0
    for a in range(axes):
        for d, sign in enumerate((1.0, -1.0)):
            push = np.maximum(sign * np.stack([unit[a, :n], -unit[a, :n]]), 0.0)
            most = through * reach[a] if reach[a] > 0 else 0.0
            worst[d, a] = most
            if not worst[d, a] <= room[d, a]:
                live = float(np.max(np.where(coin > 0, push, 0.0), initial=0.0))
                worst[d, a] = through * live if live > 0 else 0.0
            if not worst[d, a] <= room[d, a]:
                worst[d, a] = float(np.sum(push * coin))
            if not worst[d, a] <= room[d, a]:
                worst[d, a] = _heaviest_plain(push, coin, through)
    left = np.subtract(room, worst, out=np.full_like(room, np.inf), where=room < np.inf)
    np.minimum(least, left.min(axis=0), out=least)


def _heaviest_plain(push: Floats, coin: Floats, through: float) -> float:
    order = np.argsort(-push.ravel(), kind="stable")
    filled = np.minimum(np.cumsum(coin.ravel()[order]), through)
    return float(np.sum(np.diff(filled, prepend=0.0) * push.ravel()[order]))


def _fit_plain(
    push: Floats, standing: Floats, changed: NDArray[np.bool_], left: float, through: float, worth: Floats,
    lot: Floats, wanted: Ints,
) -> int:  # fmt: skip
    touched = 0
    order = np.argsort((worth / np.maximum(push, 1e-300)).ravel(), kind="stable")
    ranked = [divmod(int(at), len(lot)) for at in order if push.ravel()[at] > 0]
    for s, i in ranked:
        if changed[i] and wanted[s, i] > 0:
            if _heaviest_plain(push, standing + changed * wanted * lot, through) <= left:
                return touched
            touched += 1
            while wanted[s, i] > 0 and not _heaviest_plain(push, standing + changed * wanted * lot, through) <= left:
                wanted[s, i] -= 1
    if _heaviest_plain(push, standing + changed * wanted * lot, through) <= left:
        return touched
    later = wanted.copy()
    for s, i in ranked:
        if not changed[i] and later[s, i] > 0 and not _heaviest_plain(push, later * lot, through) <= left:
            touched += 1
            later[s, i] = wanted[:, i] = 0
    return touched
