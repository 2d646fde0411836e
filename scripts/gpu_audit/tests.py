#!/usr/bin/env python3
"""Tests of the audit that need no Mesa: what is counted in code that Mesa's compilers printed, and when a limit is passed.

The samples in tests/data/gpu_audit are `reduce/sum_parts`, as Mesa 26.2 compiled it: its loop adds one element at a time, with
the rounding error of the sum so far.
"""

import os
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import machine_code
import table
from kernels import Kernel, kernel
from limits import Limits, WrongLimits
from spirv import Module

SAMPLES = HERE.parent.parent / "tests/data/gpu_audit"


def sample(name, device):
    return machine_code.read({name: (SAMPLES / f"sum_parts_{device}.txt").read_text()})


def amd(*lines):
    return machine_code.read({"Assembly": "BB0:\n" + "".join(f"\t{line}\n" for line in lines)}).whole()


class Samples(unittest.TestCase):
    def counted(self, code, vector, slow, loads, stores):
        loop, whole = code.hot_loop(), code.whole()
        self.assertEqual((loop["fma"], loop["vector"], loop["slow"]), (0, vector, slow))
        self.assertEqual(loop.accesses("load"), loads)
        self.assertEqual((loop["store"], whole.accesses("store")), (0, stores))
        self.assertEqual(loop["branch"], 0)

    def test_the_loop_of_rdna3(self):
        self.counted(sample("Assembly", "navi31"), 9, 1, "1 x 4", "1 x 4")

    def test_the_loop_of_vega(self):
        self.counted(sample("Assembly", "vega10"), 9, 1, "1 x 4", "1 x 4")

    def test_the_loop_of_ampere(self):
        # Without its exit, which stands between its blocks.
        self.counted(sample("NAK assembly", "ga102"), 17, 0, "1 x 4", "1 x 4")

    def test_the_loop_of_apple(self):
        # Three loads are of arguments.
        self.counted(sample("printed", "m1"), 12, 2, "4 x 4", "1 x 4")

    def test_the_second_function_of_apple_does_not_count(self):
        self.assertEqual(sample("printed", "m1").whole().accesses("load"), "4 x 4")


class Instructions(unittest.TestCase):
    def test_a_dual_instruction_counts_twice(self):
        mix = amd("v_dual_fmac_f32 v1, v2, v3 :: v_dual_mul_f32 v4, v5, v6", "v_fma_f32 v1, v2, v3, v4")
        self.assertEqual((mix["fma"], mix["vector"]), (2, 1))

    def test_widths_of_old_and_new_names(self):
        mix = amd("buffer_load_dwordx4 v[0:3], v4, s[0:3], 0 offen", "buffer_load_b32 v1, v4, s[0:3], 0 offen",
                  "ds_load_2addr_b64 v[0:3], v4 offset1:1", "ds_read2_b32 v[0:1], v4 offset1:1", "ds_write_b128 v4, v[0:3]",
                  "scratch_store_b32 off, v1, s32")
        self.assertEqual(mix.accesses("load"), "1 x 4 + 1 x 16")
        self.assertEqual(mix.accesses("shared load"), "1 x 8 + 1 x 16")
        self.assertEqual(mix.accesses("shared store"), "1 x 16")
        self.assertEqual(mix.accesses("local store"), "1 x 4")
        self.assertEqual(mix.loaded_elements(), 5)

    def test_products_and_matrices(self):
        mix = amd("v_mul_lo_u32 v1, v2, v3", "v_rcp_f32_e32 v1, v2", "v_wmma_f32_16x16x16_f16 v[0:7], v[8:15], v[16:23], v[0:7]")
        self.assertEqual((mix["slow"], mix["matrix"]), (2, 1))

    def test_a_branch_counts_within_the_loop_and_not_where_it_closes_it(self):
        text = "BB0:\n\ts_nop 0\nBB1:\n\ts_cbranch_execz BB3\nBB2:\n\tv_fma_f32 v1, v2, v3, v4\nBB3:\n\ts_cbranch_scc0 BB1\nBB4:\n\ts_endpgm\n"
        loop = machine_code.read({"Assembly": text}).hot_loop()
        self.assertEqual((loop["branch"], loop["fma"]), (1, 1))

    def test_loops_within_loops_are_found_and_the_one_that_loads_is_hot(self):
        text = "BB0:\n\tbuffer_load_b32 v1, v2, s[0:3], 0\nBB1:\n\tv_fma_f32 v1, v2, v3, v4\n\ts_cbranch_scc0 BB1\nBB2:\n\tv_mov_b32 v1, v2\n\ts_cbranch_scc0 BB0\n"
        code = machine_code.read({"Assembly": text})
        self.assertEqual(sorted(len(inside) for _, inside in code.loops()), [2, 5])
        self.assertEqual(code.hot_loop()["load"], 1)

    def test_where_most_is_unrolled_all_code_counts(self):
        lines = "".join("\tv_fma_f32 v1, v2, v3, v4\n" for _ in range(20))
        code = machine_code.read({"Assembly": "BB0:\n" + lines + "BB1:\n\tds_load_b32 v1, v2\n\ts_cbranch_scc0 BB1\n"})
        self.assertIsNone(code.hot_loop())

    def test_code_of_an_unknown_driver_is_unknown(self):
        self.assertIsNone(machine_code.read({"Some assembly": "add r0, r1"}))


class Numbers(unittest.TestCase):
    def kernel(self, **statistics):
        module = Module.__new__(Module)
        module.label, module.wgsl = "conv/workgroup_tile", (
            "const TILE_ROWS: u32 = 64u;\nconst TILE_COLUMNS: u32 = 32u;\nconst KERNEL_HEIGHT: i32 = 3;\nconst KERNEL_WIDTH: i32 = 3;\n"
            "const STRIDE_X: i32 = 2;\n@group(0) @binding(2) var<storage, read_write> y: array<f32>;")
        code = (SAMPLES / "sum_parts_navi31.txt").read_text()
        return kernel(module, {"statistics": statistics, "code": {"Assembly": code}})

    def test_a_kernel_is_called_by_what_tells_it_apart(self):
        self.assertEqual(self.kernel().name, "conv/workgroup_tile forward 64x32 3x3/2")

    def test_numbers_come_from_driver_and_code(self):
        found = self.kernel(**{"VGPRs": 12, "Spilled VGPRs": 0, "LDS size": 512})
        self.assertEqual([found.number(name) for name in ("registers", "spills", "shared", "vector per load")], [12, 0, 512, 10])
        self.assertIsNone(found.number("waves"))
        self.assertIsNone(found.number("share"))

    def test_the_table_has_a_dash_for_what_is_unknown(self):
        rows = table.markdown([Kernel("pool/max", {"registers": 8})]).splitlines()
        self.assertEqual(len(rows), 3)
        self.assertTrue(rows[2].startswith("| pool/max | - | 8 | - |"), rows[2])

    def test_one_row_stands_for_kernels_of_one_name(self):
        rows = table.markdown([self.kernel(Instructions=5), self.kernel(Instructions=9)]).splitlines()
        self.assertEqual(len(rows), 3)


class LimitsOfKernels(unittest.TestCase):
    def limits(self, text, devices=("navi31", "m1")):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(text)
            file.flush()
            return Limits(file.name, devices)

    def test_kernel_number_and_limit_are_named(self):
        limits = self.limits('[[limit]]\nkernel = "^conv/"\nat_most = { spills = 0 }\nat_least = { waves = 8 }')
        found = limits.broken([Kernel("conv/tile", {"spills": 3, "waves": 2}), Kernel("pool", {"spills": 9})], "navi31")
        self.assertEqual(found, ["navi31: conv/tile has spills 3, the limit is at most 0", "navi31: conv/tile has waves 2, the limit is at least 8"])

    def test_the_last_entry_that_names_a_number_counts(self):
        limits = self.limits('[[limit]]\nkernel = ""\nat_most = { scratch = 0, spills = 0 }\n'
                             '[[limit]]\nkernel = "tile"\ndevices = ["m1"]\nat_most = { scratch = 64 }')
        tile = Kernel("tile", {"scratch": 64, "spills": 1})
        self.assertEqual(limits.broken([tile], "m1"), ["m1: tile has spills 1, the limit is at most 0"])
        self.assertEqual(len(limits.broken([tile], "navi31")), 2)

    def test_a_limit_may_hold_for_loops_alone(self):
        limits = self.limits('[[limit]]\nkernel = ""\nof = "loop"\nat_most = { spills = 0 }')
        found = limits.broken([Kernel("rolled", {"spills": 1}, loops=True), Kernel("flat", {"spills": 1})], "m1")
        self.assertEqual(found, ["m1: rolled has spills 1, the limit is at most 0"])

    def test_what_no_kernel_meets_is_told(self):
        limits = self.limits('[[limit]]\nkernel = "gone"\nat_most = { spills = 0 }')
        limits.broken([Kernel("here", {"spills": 0})], "m1")
        self.assertEqual(limits.unused(["m1"]), ["gone"])

    def test_a_wrong_file_is_refused(self):
        for text in ("", "[[limit]]\nmost = 1", '[[limit]]\nkernel = "("', '[[limit]]\nkernel = ""\ndevices = ["voodoo"]',
                     '[[limit]]\nkernel = ""\nof = "half"', '[[limit]]\nkernel = ""\nat_most = { spillls = 0 }'):
            self.assertRaises(WrongLimits, self.limits, text)


class Labels(unittest.TestCase):
    def test_a_module_says_label_text_and_bindings(self):
        def instruction(op, *words):
            return struct.pack(f"<{len(words) + 1}I", (len(words) + 1) << 16 | op, *words)

        def words(text):
            data = text.encode() + b"\0" * (4 - len(text) % 4)
            return struct.unpack(f"<{len(data) // 4}I", data)

        data = struct.pack("<5I", 0x07230203, 0x10300, 0, 9, 0) + b"".join([
            instruction(15, 5, 4, *words("main")), instruction(7, 1, *words("pool/max")),
            instruction(3, 0, 0, 1, *words("const SIZE: u32 = 4u;")), instruction(71, 6, 34, 0), instruction(71, 6, 33, 2),
            instruction(59, 8, 6, 12), instruction(54, 1, 2, 3, 4)])
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            module = Module(file.name)
        self.assertEqual((module.label, module.entry, module.constants()), ("pool/max", "main", {"SIZE": 4}))
        self.assertEqual(module.bindings, {0: {2: "storage"}})


class Program(unittest.TestCase):
    def run_with(self, *arguments, path=os.environ.get("PATH", "")):
        with tempfile.TemporaryDirectory() as target:
            environment = {**os.environ, "PATH": path, "CARGO_TARGET_DIR": target}
            return subprocess.run([sys.executable, HERE, *arguments], env=environment, capture_output=True, text=True)

    def test_without_apt_it_says_what_to_unpack(self):
        ran = self.run_with("--fetch", path="/nonexistent")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("there is no apt-get to download Debian's mesa-vulkan-drivers and mesa-drm-shim", ran.stderr)

    def test_a_missing_program_is_named(self):
        ran = self.run_with("--binary", "/nonexistent/tilewright")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("there is no /nonexistent/tilewright: run `cargo build --release`", ran.stderr)

    def test_an_unknown_device_is_refused_with_those_there_are(self):
        ran = self.run_with("--devices", "navi31,voodoo")
        self.assertEqual(ran.returncode, 2)
        self.assertIn("`voodoo` is none of navi31, navi21, vega10, ga102, m1", ran.stderr)


if __name__ == "__main__":
    unittest.main()
