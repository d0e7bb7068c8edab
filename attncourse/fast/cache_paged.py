"""A cache in blocks of a common pool, in torch.

The books - tables, uses, lengths - are plain Python; the pool is two
tensors. `attncourse.reference.cache_pool` says what each operation is.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attncourse.fast.cache_arrivals import (
    Arrivals,
    require_like,
    whole_counts,
)
from attncourse.fast.cache_parts import (
    Encode,
    read_all,
    read_masked,
    stack_group,
)
from attncourse.shapes import count


class PagedCache:
    r"""Keys and values in blocks; each row has a table of its blocks.

    .. math:: o_i = \frac{\sum_b \sum_{j \in b} e^{s_{ij}} v_j}
              {\sum_b \sum_{j \in b} e^{s_{ij}}}

    A step gathers the blocks of all rows once, for all heads, and reads
    them. `keys` has shape (groups, blocks * size, dim): place p of block b
    is its row b * size + p.

    Parameters
    ----------
    blocks : how many the pool has.
    size : tokens of a block.

    Source: Kwon et al. (2023), "Efficient Memory Management for Large
    Language Model Serving with PagedAttention", sections 4.1 to 4.4.

    Examples
    --------
    >>> cache, one = PagedCache(blocks=7, size=2), torch.ones(1, 1, 1, 1)
    >>> cache.add_row()
    0
    >>> reads = [cache.step(one, one, n * one) for n in (1, 2, 6)]
    >>> reads[-1].item(), cache.tables, cache.free_count
    (3.0, [[0, 1]], 5)
    """

    def __init__(self, *, blocks: int, size: int):
        self.size = count("size", size)
        self.uses = [0] * count("blocks", blocks, least=0)
        self.tables: list[list[int]] = []
        self._lengths: list[int] = []
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    @property
    def lengths(self) -> Tensor:
        """How many tokens each row has; on the CPU."""
        return torch.tensor(self._lengths, dtype=torch.int64)

    @property
    def nbytes(self) -> int:
        """How many bytes the pool takes, free blocks too."""
        held = (self.keys, self.values)
        return sum(0 if x is None else x.nbytes for x in held)

    @property
    def free_count(self) -> int:
        """How many blocks no row holds."""
        return self.uses.count(0)

    def add_row(self) -> int:
        """Add a row that holds nothing; return its number, the last."""
        self.tables.append([])
        self._lengths.append(0)
        return len(self.tables) - 1

    def share_prefix(self, row: int, *, tokens: int) -> int:
        """Add a row that begins as another does; return its number.

        No key is copied until one of the two writes into a shared block.
        """
        self._require_row(row)
        tokens = count("tokens", tokens, least=0)
        if tokens > self._lengths[row]:
            raise ValueError(
                "tokens must be within the row that is shared: "
                f"got tokens={tokens}, length={self._lengths[row]}"
            )
        table = self.tables[row][: self._blocks(tokens)]
        for block in table:
            self.uses[block] += 1
        self.tables.append(table)
        self._lengths.append(tokens)
        return len(self.tables) - 1

    def free_row(self, row: int) -> None:
        """Remove a row; the later rows move up by one."""
        self._require_row(row)
        for block in self.tables.pop(row):
            self.uses[block] -= 1
        del self._lengths[row]

    def blocks_needed(self, counts: Any) -> int:
        """Return how many free blocks so many new tokens a row would take."""
        rows = (len(self.tables),)
        uses, needed = list(self.uses), 0
        new_tokens = whole_counts(counts, rows, most=None).tolist()
        for row, new in enumerate(new_tokens):
            needed += self._blocks(self._lengths[row] + new)
            needed -= len(self.tables[row])
            if self._writes_shared(row, new, uses):
                uses[self.tables[row][-1]] -= 1
                needed += 1
        return needed

    def step(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        encode: Encode | None = None,
        counts: Any = None,
    ) -> Tensor:
        """Return what new tokens of every row read; see `FullCache.step`.

        Parameters
        ----------
        q, k, v : shape (rows, heads, tokens, dim) and so on.

        Raises
        ------
        ValueError
            If there are too few free blocks; nothing has changed then.
        """
        new = Arrivals(q, k, v, self.lengths, encode=encode, counts=counts)
        self._require_fit(new)
        needed = self.blocks_needed(new.counts)
        if needed > self.free_count:
            raise ValueError(
                "free blocks must be enough for the new tokens: "
                f"got free={self.free_count}, needed={needed}"
            )
        self._make(new)
        for row, more in enumerate(new.counts.tolist()):
            self._allot(row, more)
        self._write(new)
        return self._read(new)

    def _writes_shared(self, row: int, new: int, uses: list[int]) -> bool:
        """Tell if the row's new tokens begin in a block that others hold."""
        begun = new > 0 and self._lengths[row] % self.size > 0
        return begun and uses[self.tables[row][-1]] > 1

    def _allot(self, row: int, new: int) -> None:
        """Give the row the blocks for so many tokens more; copy on write."""
        table = self.tables[row]
        if self._writes_shared(row, new, self.uses):
            shared = table[-1]
            self.uses[shared] -= 1
            table[-1] = self._take()
            for pool in (self.keys, self.values):
                assert pool is not None
                blocks = pool.unflatten(1, (-1, self.size))
                blocks[:, table[-1]] = blocks[:, shared]
        self._lengths[row] += new
        while len(table) < self._blocks(self._lengths[row]):
            table.append(self._take())

    def _take(self) -> int:
        block = self.uses.index(0)
        self.uses[block] = 1
        return block

    def _write(self, new: Arrivals) -> None:
        """Put the new tokens in their places, which are there."""
        assert self.keys is not None
        assert self.values is not None
        row, at = new.real()
        to = self._places()[row, new.positions[row, at]].to(new.k.device)
        row, at = row.to(to.device), at.to(to.device)
        self.keys[:, to] = new.k.detach()[row, :, at].transpose(0, 1)
        self.values[:, to] = new.v.detach()[row, :, at].transpose(0, 1)

    def _read(self, new: Arrivals) -> Tensor:
        """Return what the queries read, groups before rows: one copy."""
        assert self.keys is not None
        assert self.values is not None
        longest = new.longest
        places = self._places()[:, :longest].to(new.q.device)
        keys, values = self.keys[:, places], self.values[:, places]
        stacked = stack_group(new.q, groups=len(keys)).transpose(0, 1)
        if new.even and new.tokens == 1:
            read = read_all(stacked, keys, values)
        else:
            at = torch.arange(longest).expand(len(self.tables), -1)
            read = read_masked(stacked, keys, values, mask=new.mask(at))
        return new.unstacked(read.transpose(0, 1))

    def _places(self) -> Tensor:
        """Return where each position of each row lies in the pool."""
        longest = max(map(len, self.tables), default=0)
        padded = [
            table + [0] * (longest - len(table)) for table in self.tables
        ]
        first = torch.tensor(padded, dtype=torch.int64).reshape(
            len(padded), longest
        )
        places = first[..., None] * self.size + torch.arange(self.size)
        return places.flatten(1)

    def _make(self, new: Arrivals) -> None:
        """Make the pool, once its sizes are known."""
        if self.keys is None:
            places = len(self.uses) * self.size
            self.keys, self.values = (
                x.new_zeros(x.shape[1], places, x.shape[3])
                for x in (new.k, new.v)
            )

    def _require_fit(self, new: Arrivals) -> None:
        for name, x, pool in (
            ("k", new.k, self.keys),
            ("v", new.v, self.values),
        ):
            if pool is not None:
                require_like(name, x, pool[None])

    def _require_row(self, row: int) -> None:
        if count("row", row, least=0) >= len(self.tables):
            raise ValueError(
                f"row must be one of {len(self.tables)}, from 0: got {row}"
            )

    def _blocks(self, tokens: int) -> int:
        """Return how many blocks hold so many tokens."""
        return -(-tokens // self.size)
