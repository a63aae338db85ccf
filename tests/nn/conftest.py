"""One thread: a fixed order of summation, and no contention on small machines."""

import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
