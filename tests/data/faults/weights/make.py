#!/usr/bin/env python3
"""Writes small files of the forms that torch.save has had, without PyTorch: LeNet-5 for 12x12 grey images, 4 classes.

Every tensor is an expanded view (strides of 0) of a few stored numbers, so that the files stay small.
"""

import io
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path

HERE = Path(__file__).parent
SHAPES = {
    "conv1.weight": (6, 1, 5, 5),
    "conv1.bias": (6,),
    "conv2.weight": (16, 6, 5, 5),
    "conv2.bias": (16,),
    "fc1.weight": (120, 16),
    "fc1.bias": (120,),
    "fc2.weight": (84, 120),
    "fc2.bias": (84,),
    "fc3.weight": (4, 84),
    "fc3.bias": (4,),
}


def module(name, **members):
    made = types.ModuleType(name)
    for key, member in members.items():
        setattr(made, key, member)
        member.__module__, member.__qualname__, member.__name__ = name, key, key
    sys.modules[name] = made
    return made


def stub():
    def function(*_):
        raise RuntimeError("nothing in a pickle is called")

    return function


class FloatStorage:
    pass


class LongStorage:
    pass


torch = module("torch", FloatStorage=FloatStorage, LongStorage=LongStorage)
utils = module("torch._utils", _rebuild_tensor_v2=stub(), _rebuild_tensor=stub(), _rebuild_parameter=stub())


class Parameter:
    pass


parameters = module("torch.nn.parameter", Parameter=Parameter)


class Storage:
    def __init__(self, key, numbers, kind="f", view=None):
        self.key, self.numbers, self.kind, self.view = key, numbers, kind, view


class Call:
    """Pickled as a call of a function, and as nothing else."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def tensor(storage, shape, strides=None, offset=0, rebuild=utils._rebuild_tensor_v2):
    strides = tuple(0 for _ in shape) if strides is None else strides
    rest = () if rebuild is utils._rebuild_tensor else (False, OrderedDict())
    return Call(rebuild, storage, offset, shape, strides, *rest)


def weights(first=0, rebuild=utils._rebuild_tensor_v2):
    tensors = OrderedDict()
    for at, (name, shape) in enumerate(SHAPES.items(), first):
        tensors[name] = tensor(Storage(str(at), [at / 16]), shape, rebuild=rebuild)
    grid = Storage(str(first), [x / 16 for x in range(25)])
    tensors["conv1.weight"] = tensor(grid, (6, 1, 5, 5), (0, 0, 1, 5), rebuild=rebuild)
    return tensors


class Pickler(pickle.Pickler):
    def __init__(self, file, legacy):
        super().__init__(file, protocol=2)
        self.legacy, self.storages = legacy, {}

    def persistent_id(self, thing):
        if not isinstance(thing, Storage):
            return None
        kind = FloatStorage if thing.kind == "f" else LongStorage
        count = len(thing.numbers)
        if thing.view is None:
            self.storages[thing.key] = thing
        tail = (thing.view,) if self.legacy else ()
        return ("storage", kind, thing.key, "cpu", count, *tail)


def packed(storage):
    return struct.pack(f"<{len(storage.numbers)}{storage.kind}", *storage.numbers)


def legacy(name, root):
    out = io.BytesIO()
    pickle.dump(0x1950A86A20F9469CFC6C, out, protocol=2)
    pickle.dump(1001, out, protocol=2)
    pickle.dump({"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}, out, protocol=2)
    pickler = Pickler(out, True)
    pickler.dump(root)
    keys = sorted(pickler.storages)
    pickle.dump(keys, out, protocol=2)
    for key in keys:
        storage = pickler.storages[key]
        out.write(struct.pack("<q", len(storage.numbers)) + packed(storage))
    (HERE / name).write_bytes(out.getvalue())


def archive(name, root):
    out = io.BytesIO()
    pickler = Pickler(out, False)
    pickler.dump(root)
    with zipfile.ZipFile(HERE / name, "w", zipfile.ZIP_STORED) as file:
        put = lambda path, data: file.writestr(zipfile.ZipInfo(f"archive/{path}"), data)
        put("data.pkl", out.getvalue())
        for key, storage in pickler.storages.items():
            put(f"data/{key}", packed(storage))


counter = lambda key: tensor(Storage(key, [7], "q"), ())
adam = {"state": {0: {"exp_avg": tensor(Storage("90", [0.5]), (6,))}}, "param_groups": [{"lr": 0.1, "params": [0]}]}

archive("plain.pth", weights())
legacy("legacy.pth", {"epoch": 3, "optimizer": adam, "state_dict": weights()})
# As of PyTorch 0.1: parameters in parameters, an ordered dict of pairs, and a storage that is a part of another.
old = weights(rebuild=utils._rebuild_tensor)
whole = Storage("0", [0.0, 0.0] + [x / 16 for x in range(25)])
part = Storage("0", [x / 16 for x in range(25)], view=("x", 2, 25))
old["conv1.weight"] = tensor(part, (6, 1, 5, 5), (0, 0, 1, 5), rebuild=utils._rebuild_tensor)
old["unused"] = tensor(whole, (1,), rebuild=utils._rebuild_tensor)
pairs = [[name, Call(Parameter, value)] for name, value in old.items() if name != "unused"]
legacy("oldest.pth", {"whole": tensor(whole, (1,)), "net": Call(OrderedDict, pairs)})
archive("several.pth", {"model": weights(), "state_dict_ema": weights(100), "optimizer": adam})
archive("averaged.pth", {"n_averaged": counter("91"), **{f"module._orig_mod.{k}": v for k, v in weights().items()}})
nested = defaultdict(list, {"weights": {f"backbone.{k}": v for k, v in weights().items()}})
nested["weights"].update({"loss.weight": tensor(Storage("92", [1.0]), (4,)), "backbone.steps": counter("93")})
archive("nested.pth", {"epoch": 1, "checkpoint": nested})
# Each of many tensors has all of one storage: were all of them read, they would take 400 times the file.
large = Storage("94", [0.0] * 10_000)
archive("many.pth", {f"t{at}": tensor(large, (10_000,), (1,)) for at in range(2_000)})
# Dicts that hold the next one twice: 2 to the 40 ways to walk.
deep = weights()
for at in range(40):
    deep = {"a": deep, "b": deep}
archive("deep.pth", deep)
archive("huge.pth", {**weights(), "fc1.weight": tensor(Storage("95", [0.0]), (1 << 30, 1 << 30))})
nan = weights()
nan["fc2.bias"] = tensor(Storage("96", [float("nan")]), (84,))
archive("nan.pth", nan)
rgb = weights()
rgb["conv1.weight"] = tensor(Storage("97", [x / 16 for x in range(25)]), (6, 3, 5, 5), (0, 0, 1, 5))
archive("rgb.pth", rgb)
archive("module.pth", Call(Parameter, 3))
