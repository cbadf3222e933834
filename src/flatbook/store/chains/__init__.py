"""Chain files in, chains out: what a file is, is told by its columns and keys, never by its name."""

from flatbook.store.chains.chain_file import ChainFile
from flatbook.store.chains.reader import read_chains

__all__ = ["ChainFile", "read_chains"]
