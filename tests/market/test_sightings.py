import numpy as np

from flatbook.market.expiry_quotes import Bands
from flatbook.market.sightings import RING, Sightings, thinned


def test_the_last_are_kept_each_carried_along_with_the_level_since() -> None:
    kept = Sightings(2)
    for n in range(RING + 3):
        kept.keep(1, 0.01 * n, 0.5, 0.6, 0.002, 0.1 if n < RING else 0.3, n)
    seen = kept.of(1, 0.3)
    assert sorted(seen.seen_ns.tolist()) == list(range(3, RING + 3))
    np.testing.assert_allclose(seen.low, np.where(seen.seen_ns < RING, 0.5 * np.exp(0.2), 0.5))
    np.testing.assert_allclose(seen.high, 1.2 * seen.low)
    both = kept.of_all(np.array([1, 0]), np.array([0.3, 0.0]))
    np.testing.assert_array_equal(both.low[0], seen.low)
    assert np.isnan(both.low[1]).all()
    kept.forget_drift(1, 7.0)
    np.testing.assert_array_equal(kept.of(1, 7.0).low, 0.5)
    kept.grow(5)
    assert (kept.count[1], len(kept.of(4, 0.0).k)) == (RING + 3, 0)
    np.testing.assert_array_equal(kept.of(1, 7.0).k, seen.k)


def test_of_many_bands_some_evenly_over_the_strikes() -> None:
    k = np.linspace(-1.0, 1.0, 5 * RING)
    few = thinned(Bands(k, k + 2.0, k + 3.0))
    assert len(few.k) == RING
    assert (few.k[0], few.k[-1]) == (-1.0, 1.0)
    assert np.ptp(np.diff(few.k)) < 2.1 / len(k)
    np.testing.assert_allclose(few.high - few.low, 1.0)
    short = Bands(k[:5], k[:5], k[:5])
    assert thinned(short) is short
