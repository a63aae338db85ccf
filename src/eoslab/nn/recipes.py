"""From plain settings to a network with its data: what a run records about itself, and is rebuilt from."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eoslab.core.errors import BadData, InvalidArgument, UnknownName
from eoslab.nn import architectures, data, losses
from eoslab.nn.objective import Objective
from eoslab.nn.ranks import ALONE, Ranks

__all__ = ["ARCHITECTURES", "DTYPES", "LOSSES", "NEEDS_FILES", "build", "has_classes"]

#: Name → function; with the net of the Chebyshev task, which is no general architecture.
ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    **architectures.ARCHITECTURES,
    "chebyshev": architectures.chebyshev_net,
}
LOSSES = {"mse": losses.mse, "ce": losses.ce}
DTYPES = {"float32": torch.float32, "float64": torch.float64}
#: Data sets that are read from local files, and these files.
NEEDS_FILES = {
    "cifar10": "data_batch_1 … data_batch_5, or data_batch_1.bin …, or cifar-10-python.tar.gz",
    "mnist": "train-images-idx3-ubyte and train-labels-idx1-ubyte, also with .gz",
    "fashion-mnist": "train-images-idx3-ubyte and train-labels-idx1-ubyte, also with .gz",
}
#: Architectures that take images, samples × channels × height × width.
IMAGES = ("cnn", "vgg", "resnet", "vit")


def build(settings: Mapping[str, Any], ranks: Ranks = ALONE) -> Objective:
    """The objective that the settings describe; with ``ranks`` each process holds its share of the samples.

    ``arch``, ``hidden`` (widths), ``act``, ``data``, ``samples``, ``data_dir``, ``loss``, ``dtype``, ``seed``,
    ``chunk``, and ``module`` ('file.py:build') in place of ``arch``. ``build()`` of that file returns a module,
    which is then trained on ``data``; or (module, loss_fn, (X, y)); or an Objective.
    """
    dtype = _named("dtype", DTYPES, settings.get("dtype") or "float64")
    chunk, seed = settings.get("chunk"), int(settings.get("seed") or 0)
    made = _made(str(settings["module"]), seed) if settings.get("module") else None
    if isinstance(made, Objective):
        if ranks.world > 1:
            raise InvalidArgument(
                "module", settings["module"], "a function that returns (module, loss_fn, (X, y))",
                "several processes share the samples, and an Objective has its own already",
            )  # fmt: skip
        return made
    if isinstance(made, tuple):
        if len(made) != 3:
            raise BadData(f"{settings['module']} returned {len(made)} things", "expected module, loss_fn, (X, y)")
        module, loss_fn, pair = made
        pair = ranks.share(*pair) if ranks.world > 1 else pair
        return Objective(module, loss_fn, pair, dtype=dtype, chunk=chunk, group=ranks.group)
    loss_name = str(settings.get("loss") or "mse")
    loss_fn = _named("loss", LOSSES, loss_name)
    arch = str(settings.get("arch") or "mlp")
    x, y = _data(settings, made is not None, arch, loss_name, seed)
    module = made if made is not None else _network(settings, arch, x, y, seed)
    assert isinstance(module, nn.Module)
    pair = ranks.share(x, _targets(y, loss_name))
    return Objective(module, loss_fn, pair, dtype=dtype, chunk=chunk, group=ranks.group)


def has_classes(objective: Objective) -> bool:
    """Whether its targets are classes, so that there is an accuracy."""
    y = objective._chunks[0][1]
    if not isinstance(y, Tensor):
        return False
    if not y.is_floating_point():
        return y.dim() == 1
    return y.dim() == 2 and y.shape[1] > 1 and bool(((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all())


# -- parts ------------------------------------------------------------------------------------------------


def _named(kind: str, table: Mapping[str, Any], name: str) -> Any:
    if name not in table:
        raise UnknownName(kind, name, table)
    return table[name]


def _made(spec: str, seed: int) -> Any:
    """What the user's function returns."""
    path, colon, name = spec.rpartition(":")
    if not colon or not path:
        path, name = spec, "build"
    file = Path(path).expanduser()
    if not file.is_file():
        raise InvalidArgument("module", repr(spec), "file.py:function", f"there is no file {path}")
    found = importlib.util.spec_from_file_location(f"_eoslab_user_{file.stem}", file)
    if found is None or found.loader is None:
        raise InvalidArgument("module", repr(spec), "a Python file, file.py:function")
    loaded = importlib.util.module_from_spec(found)
    sys.modules[found.name] = loaded
    with architectures.dense.seeded(seed):
        found.loader.exec_module(loaded)
        function = getattr(loaded, name, None)
        if not callable(function):
            raise InvalidArgument("module", repr(spec), f"a function {name!r} in {path}")
        made = function()
    if not isinstance(made, (nn.Module, tuple, Objective)):
        raise BadData(
            f"{spec} returned {type(made).__name__}",
            "return a module, or (module, loss_fn, (X, y)), or an eoslab.nn.Objective",
        )
    return made


def _data(settings: Mapping[str, Any], own: bool, arch: str, loss: str, seed: int) -> tuple[Tensor, Tensor]:
    name = str(settings.get("data") or "digits")
    function = _named("data", data.DATA, name)
    options: dict[str, Any] = {}
    if settings.get("samples"):
        options["n"] = int(settings["samples"])
    if name in NEEDS_FILES:
        if not settings.get("data_dir"):
            raise InvalidArgument(
                "data", name, "--data-dir with it",
                f"its files are read from a local folder, as they are published: {NEEDS_FILES[name]}",
            )  # fmt: skip
        options["root"] = str(settings["data_dir"])
        options["flat"] = not own and arch not in IMAGES
    elif name == "digits":
        options["images"] = not own and arch in IMAGES
    elif name in ("sorting", "k-parity", "teacher-student"):
        options["seed"] = seed
    x, y = function(**options)
    if name == "sorting" and loss == "mse":
        raise InvalidArgument("loss", loss, "ce for 'sorting'", "its targets are symbols")
    return x, y


def _network(settings: Mapping[str, Any], arch: str, x: Tensor, y: Tensor, seed: int) -> nn.Module:
    function = _named("arch", ARCHITECTURES, arch)
    hidden = [int(width) for width in settings.get("hidden") or ()]
    act = settings.get("act")
    outputs = int(y.max()) + 1 if not y.is_floating_point() else int(y.shape[1])
    options: dict[str, Any] = {"seed": seed}
    if act and arch in ("mlp", "cnn", "vgg", "resnet"):
        options["act"] = act
    elif act and not (arch == "chebyshev" and act == "tanh"):
        raise InvalidArgument("act", act, f"nothing: {arch!r} has its own")
    if arch == "gpt":
        # the vocabulary is that of inputs and targets; ignored targets are negative
        options |= {"symbols": int(max(x.max(), y.max())) + 1, "context": int(x.shape[1])}
        return function(**options | ({"width": hidden[0], "depth": len(hidden)} if hidden else {}))
    if x.dim() == 2 and arch in IMAGES:
        raise InvalidArgument("arch", arch, f"a network for vectors of {x.shape[1]} numbers", "mlp takes them")
    if arch in IMAGES:
        options |= {"channels_in": int(x.shape[1]), "outputs": outputs}
        widths = {"cnn": "channels", "vgg": "widths", "resnet": "widths"}
        if arch == "vit":
            size = int(x.shape[2])
            options |= {"size": size, "patch": 4 if size % 4 == 0 else 2}
            return function(**options | ({"width": hidden[0], "depth": len(hidden)} if hidden else {}))
        return function(**options | ({widths[arch]: hidden} if hidden else {}))
    inputs = int(x[0].numel())
    if arch == "chebyshev":
        if inputs != 1 or outputs != 1:
            raise InvalidArgument("arch", arch, "one input and one output", "use --data chebyshev-5-20")
        return function(**options | ({"hidden": hidden[0]} if hidden else {}))
    if arch == "deep-linear":
        shape = {"depth": len(hidden) + 1, "width": hidden[0]} if hidden else {}
        if len(set(hidden)) > 1:
            raise InvalidArgument("hidden", ",".join(map(str, hidden)), "equal widths for 'deep-linear'")
        return function(inputs, outputs, **options | shape)
    return function(inputs, outputs, **options | ({"hidden": hidden} if hidden else {}))


def _targets(y: Tensor, loss: str) -> Tensor:
    """Class indices as unit vectors for squared loss."""
    if loss == "ce":
        if y.is_floating_point():
            raise InvalidArgument("loss", loss, "mse", "the targets of these data are numbers, not classes")
        return y
    return y if y.is_floating_point() else data.one_hot(y, int(y.max()) + 1)
