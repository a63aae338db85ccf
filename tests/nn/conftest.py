"""Tests of networks: collected where torch is installed. One thread: a fixed order of summation."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]

if importlib.util.find_spec("torch"):
    import torch

    torch.set_num_threads(1)
