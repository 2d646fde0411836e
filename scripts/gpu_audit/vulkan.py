#!/usr/bin/env python3
"""What the compiler of the first Vulkan device says of compute shaders: statistics, and machine code where it shows it.

    vulkan.py FILE.spv... > answers.json

Each answer is {"file", "statistics": {name: value}, "code": {name: text}}, by VK_KHR_pipeline_executable_properties; what
the driver prints meanwhile is the code named "printed". Pipelines are laid out as wgpu lays them out: storage buffers and
textures in set 0, arguments in a uniform with a dynamic offset in set 1. This is a program of its own, since a no-op
device has to be loaded before it.
"""

import ctypes
import json
import os
import re
import struct
import sys
import tempfile

from spirv import Module

u32, u64, size_t, pointer = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_size_t, ctypes.c_void_p
name256 = ctypes.c_char * 256

COMPUTE = 0x20
STORAGE_IMAGE, UNIFORM_BUFFER, STORAGE_BUFFER, UNIFORM_BUFFER_DYNAMIC = 3, 6, 7, 8
CAPTURE_STATISTICS, CAPTURE_CODE = 0x40, 0x80
# Names that drivers give the text of machine code; they have earlier forms of the program as well.
MACHINE_CODE = ("Assembly", "NAK assembly", "printed")
STATISTICS = "VK_KHR_pipeline_executable_properties"
ROBUSTNESS, MATRICES = "VK_EXT_robustness2", "VK_KHR_cooperative_matrix"


def structure(kind, *fields):
    """A Vulkan structure: with `sType` and `pNext` in front, which are set by themselves, where it has a `kind`."""
    head = [("kind", u32), ("next", pointer)] if kind is not None else []

    class Structure(ctypes.Structure):
        _fields_ = head + list(fields)

        def __init__(self, *values, **named):
            super().__init__(*([kind, None] if kind is not None else []), *values, **named)

    return Structure


def features(kind, count):
    return structure(kind, ("flags", u32 * count))


ApplicationInfo = structure(0, ("name", ctypes.c_char_p), ("version", u32), ("engine", ctypes.c_char_p),
                            ("engine_version", u32), ("api", u32))
InstanceInfo = structure(1, ("flags", u32), ("application", pointer), ("layer_count", u32), ("layers", pointer),
                         ("extension_count", u32), ("extensions", pointer))
QueueInfo = structure(2, ("flags", u32), ("family", u32), ("count", u32), ("priorities", pointer))
DeviceInfo = structure(3, ("flags", u32), ("queue_count", u32), ("queues", pointer), ("layer_count", u32),
                       ("layers", pointer), ("extension_count", u32), ("extensions", pointer), ("features", pointer))
Extension = structure(None, ("name", name256), ("version", u32))
ModuleInfo = structure(16, ("flags", u32), ("size", size_t), ("code", pointer))
Binding = structure(None, ("binding", u32), ("type", u32), ("count", u32), ("stages", u32), ("samplers", pointer))
SetLayoutInfo = structure(32, ("flags", u32), ("count", u32), ("bindings", pointer))
PushConstants = structure(None, ("stages", u32), ("offset", u32), ("size", u32))
LayoutInfo = structure(30, ("flags", u32), ("set_count", u32), ("sets", pointer), ("range_count", u32),
                       ("ranges", pointer))
StageInfo = structure(18, ("flags", u32), ("stage", u32), ("module", u64), ("entry", ctypes.c_char_p),
                      ("specialization", pointer))
PipelineInfo = structure(29, ("flags", u32), ("stage", StageInfo), ("layout", u64), ("base", u64),
                         ("base_index", ctypes.c_int32))
ExecutablesOf = structure(1000269001, ("pipeline", u64))
Executable = structure(1000269002, ("stages", u32), ("name", name256), ("text", name256), ("subgroup", u32))
ExecutableOf = structure(1000269003, ("pipeline", u64), ("index", u32))
Statistic = structure(1000269004, ("name", name256), ("text", name256), ("format", u32), ("padding", u32),
                      ("value", u64))
Code = structure(1000269005, ("name", name256), ("text", name256), ("is_text", u32), ("size", size_t),
                 ("data", pointer))


def address(value):
    return ctypes.cast(ctypes.pointer(value), pointer)


def must(result, what):
    if result != 0:
        raise SystemExit(f"{what} answers {ctypes.c_int32(result).value}")


class Device:
    """The first device, with all that its driver has of features, as far as wgpu asks for them."""

    def __init__(self):
        self.vulkan = ctypes.CDLL("libvulkan.so.1")
        application = ApplicationInfo(b"gpu-audit", 0, b"gpu-audit", 0, 1 << 22 | 3 << 12)
        instance = pointer()
        must(self.vulkan.vkCreateInstance(address(InstanceInfo(0, address(application), 0, None, 0, None)), None,
                                          ctypes.byref(instance)), "vkCreateInstance")
        found = u32(1)
        physical = pointer()
        self.vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(found), ctypes.byref(physical))
        if found.value == 0:
            raise SystemExit("the driver finds no device")
        wanted = [name for name in (STATISTICS, ROBUSTNESS, MATRICES) if name in self.extensions(physical)]
        if STATISTICS not in wanted:
            raise SystemExit(f"the driver has no {STATISTICS}")
        self.device = self.open(physical, wanted)

    def extensions(self, physical):
        count = u32()
        ask = self.vulkan.vkEnumerateDeviceExtensionProperties
        ask(physical, None, ctypes.byref(count), None)
        rows = (Extension * count.value)()
        ask(physical, None, ctypes.byref(count), rows)
        return {row.name.decode() for row in rows}

    def open(self, physical, extensions):
        # Vulkan 1.0, the statistics, 1.1, 1.2, 1.3.
        chain = [features(kind, count)() for kind, count in
                 ((1000059000, 55), (1000269000, 1), (49, 12), (51, 47), (53, 15))]
        robustness = features(1000286000, 3)()
        chain += [robustness] if ROBUSTNESS in extensions else []
        chain += [features(1000506000, 2)()] if MATRICES in extensions else []
        for before, after in zip(chain, chain[1:]):
            before.next = address(after)
        self.vulkan.vkGetPhysicalDeviceFeatures2(physical, address(chain[0]))
        robustness.flags[2] = 0  # null descriptors
        names = (ctypes.c_char_p * len(extensions))(*[name.encode() for name in extensions])
        queue = QueueInfo(0, 0, 1, address(ctypes.c_float(1.0)))
        device = pointer()
        info = DeviceInfo(0, 1, address(queue), 0, None, len(extensions), address(names), None)
        info.next = address(chain[0])
        must(self.vulkan.vkCreateDevice(physical, address(info), None, ctypes.byref(device)), "vkCreateDevice")
        return device

    def all_of(self, function, what, row):
        """The rows that a function of the extension gives: it is asked for their number first."""
        self.vulkan.vkGetDeviceProcAddr.restype = pointer
        ask = ctypes.CFUNCTYPE(ctypes.c_int, pointer, pointer, pointer, pointer)(
            self.vulkan.vkGetDeviceProcAddr(self.device, function))
        count = u32()
        ask(self.device, address(what), address(count), None)
        rows = (row * count.value)(*[row() for _ in range(count.value)])
        ask(self.device, address(what), address(count), address(rows))
        if row is Code:
            texts = [ctypes.create_string_buffer(entry.size + 1) for entry in rows]
            for entry, text in zip(rows, texts):
                entry.data = address(text)
            ask(self.device, address(what), address(count), address(rows))
            return {entry.name.decode(): text.value.decode(errors="replace") for entry, text in zip(rows, texts)}
        return list(rows)

    def pipeline(self, module):
        code = ctypes.create_string_buffer(module.data, len(module.data))
        handle = u64()
        info = ModuleInfo(0, len(module.data), address(code))
        must(self.vulkan.vkCreateShaderModule(self.device, address(info), None, ctypes.byref(handle)),
             "vkCreateShaderModule")
        stage = StageInfo(0, COMPUTE, handle.value, module.entry.encode(), None)
        # 0x40: keep the statistics, 0x80: keep the code.
        info = PipelineInfo(CAPTURE_STATISTICS | CAPTURE_CODE, stage, self.layout(module), 0, -1)
        pipeline = u64()
        must(self.vulkan.vkCreateComputePipelines(self.device, u64(0), 1, address(info), None,
                                                  ctypes.byref(pipeline)), "vkCreateComputePipelines")
        return pipeline.value

    def layout(self, module):
        sets = (u64 * (max(module.bindings, default=-1) + 1))()
        for index in range(len(sets)):
            bindings = module.bindings.get(index, {})
            rows = (Binding * len(bindings))(*[
                Binding(binding, descriptor(kind, index), 1, COMPUTE, None) for binding, kind in bindings.items()])
            handle = u64()
            must(self.vulkan.vkCreateDescriptorSetLayout(
                self.device, address(SetLayoutInfo(0, len(rows), address(rows))), None, ctypes.byref(handle)),
                "vkCreateDescriptorSetLayout")
            sets[index] = handle.value
        constants = PushConstants(COMPUTE, 0, 128)
        ranges = (1, address(constants)) if module.push_constants else (0, None)
        layout = u64()
        must(self.vulkan.vkCreatePipelineLayout(self.device, address(LayoutInfo(0, len(sets), address(sets), *ranges)),
                                                None, ctypes.byref(layout)), "vkCreatePipelineLayout")
        return layout.value

    def answer(self, path):
        pipeline, printed = captured(lambda: self.pipeline(Module(path)))
        executable = self.all_of(b"vkGetPipelineExecutablePropertiesKHR", ExecutablesOf(pipeline), Executable)[0]
        which = ExecutableOf(pipeline, 0)
        rows = self.all_of(b"vkGetPipelineExecutableStatisticsKHR", which, Statistic)
        code = self.all_of(b"vkGetPipelineExecutableInternalRepresentationsKHR", which, Code)
        statistics = {row.name.decode(): number(row) for row in rows}
        code["printed"] = printed
        # NVK and Honeykrisp have no statistic of it, but write it above the code.
        shared = re.search(r"^shared_size: (\d+)", "\n".join(code.values()), re.MULTILINE)
        statistics["shared_size"] = int(shared.group(1)) if shared else 0
        code = {name: text for name, text in code.items() if name in MACHINE_CODE and text}
        return {"file": path, "subgroup": executable.subgroup, "statistics": statistics, "code": code}


def captured(call):
    """What a call gives, and what it prints, also from outside of Python."""
    with tempfile.TemporaryFile() as file:
        sys.stdout.flush()
        own = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            result = call()
            ctypes.CDLL(None).fflush(None)
        finally:
            os.dup2(own, 1)
            os.close(own)
        file.seek(0)
        return result, file.read().decode(errors="replace")


def descriptor(kind, group):
    if kind == "image":
        return STORAGE_IMAGE
    if kind == "storage":
        return STORAGE_BUFFER
    return UNIFORM_BUFFER_DYNAMIC if group == 1 else UNIFORM_BUFFER


def number(row):
    form = {0: "Q", 1: "q", 2: "Q", 3: "d"}[row.format]
    return struct.unpack("<" + form, struct.pack("<Q", row.value))[0]


if __name__ == "__main__":
    device = Device()
    json.dump([device.answer(path) for path in sys.argv[1:]], sys.stdout)
