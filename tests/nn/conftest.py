"""Tests of networks: collected where PyTorch is installed, on one thread for a fixed order of summation."""

from importlib.util import find_spec

collect_ignore_glob: list[str] = []
if find_spec("torch") is None:
    collect_ignore_glob.append("test_*.py")
else:
    import torch

    # nor does one process take the cores of another
    torch.set_num_threads(1)
