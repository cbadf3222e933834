"""A digest that is put down and taken up goes on as if it had not been."""

import hashlib
import pickle

from hypothesis import given
from hypothesis import strategies as st

from flatbook.engine.outputs import OutputDigest

_PARTS = st.lists(st.binary(max_size=3_000), max_size=12)


@given(_PARTS, st.data())
def test_put_down_anywhere_it_comes_to_the_same(parts: list[bytes], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(parts)))
    unbroken, broken = OutputDigest(), OutputDigest()
    for part in parts:
        unbroken.update(part)
    for number, part in enumerate(parts):
        if number == at:
            broken = pickle.loads(pickle.dumps(broken))
        broken.digest()
        broken.update(part)
    assert broken.digest() == unbroken.digest()
    assert broken.hexdigest() == unbroken.digest().hex()
    assert broken.plus(b"more") == unbroken.plus(b"mo", b"re") != unbroken.hexdigest()


@given(st.binary(max_size=4_095), st.integers(0, 4_095))
def test_before_its_first_fold_it_is_sha_256(content: bytes, at: int) -> None:
    digest = OutputDigest()
    digest.update(content[:at])
    digest.update(memoryview(content)[at:])
    assert digest.digest() == hashlib.sha256(content).digest()


@given(_PARTS, st.integers(0, 11), st.integers(0, 2_999))
def test_every_byte_counts(parts: list[bytes], part: int, byte: int) -> None:
    changed = [bytearray(content) for content in parts]
    if part >= len(parts) or byte >= len(parts[part]):
        return
    changed[part][byte] ^= 1
    one, other = OutputDigest(), OutputDigest()
    for mine, theirs in zip(parts, changed, strict=True):
        one.update(mine)
        other.update(bytes(theirs))
    assert one.digest() != other.digest()
