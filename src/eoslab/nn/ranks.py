"""Several processes that train one network together, started by torchrun: who holds which samples.

Every rank runs the same program on the same weights; losses, gradients and products are sums over all ranks
(:class:`eoslab.nn.mean.SampleMean`), so all come to the same numbers and the same decisions. What one rank alone
knows, that Ctrl-C was pressed say, has to be agreed upon: :meth:`Ranks.any`. Only the first rank writes and
speaks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from eoslab.core.errors import InvalidArgument
from eoslab.nn import samples

__all__ = ["ALONE", "Ranks", "joined"]


@dataclass(frozen=True)
class Ranks:
    """This process among ``world`` of them."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    @property
    def group(self) -> Any:
        """What an objective takes as ``group``."""
        return True if self.world > 1 else None

    def share(self, x: Any, y: Any) -> tuple[Any, Any]:
        """The samples of this rank: consecutive ones, shares that differ by one at most.

        >>> [len(Ranks(r, 3).share(torch.zeros(8, 2), torch.zeros(8))[1]) for r in range(3)]
        [2, 3, 3]
        """
        if self.world == 1:
            return x, y
        x, y = samples.place(x, lambda t: t), samples.place(y, lambda t: t)
        n = samples.count(x)
        if n < self.world:
            raise InvalidArgument("samples", n, f"at least {self.world}, one for each process")
        a, b = n * self.rank // self.world, n * (self.rank + 1) // self.world
        return samples.cut(x, a, b), samples.cut(y, a, b)

    def any(self, flag: bool) -> bool:
        """Whether the flag is true on any rank; all must ask."""
        if self.world == 1:
            return flag
        import torch.distributed as dist

        t = torch.tensor(int(flag))
        dist.all_reduce(t, dist.ReduceOp.MAX)
        return bool(t)


#: One process.
ALONE = Ranks()


@contextmanager
def joined(environment: Mapping[str, str] = os.environ) -> Iterator[Ranks]:
    """The ranks that torchrun has started, connected by gloo for as long as the context lasts."""
    world = int(environment.get("WORLD_SIZE") or 1)
    if world == 1 or "MASTER_ADDR" not in environment:
        yield ALONE
        return
    import torch.distributed as dist

    dist.init_process_group("gloo")
    try:
        yield Ranks(int(environment["RANK"]), world)
    finally:
        dist.destroy_process_group()
