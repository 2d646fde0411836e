"""Mesa's drivers over Mesa's no-op devices: where their files come from, and how a program runs on one.

A no-op device is a library that answers for the kernel's driver of a graphics card. The driver above it compiles every
pipeline as for the real card; nothing is computed.
"""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ["mesa-vulkan-drivers", "mesa-drm-shim", "libvulkan1"]
# Where the packages come from if no other source of Debian's is configured.
DEBIAN = "http://deb.debian.org/debian"
# Debian's keys, of the package debian-archive-keyring, which other systems may have as well.
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


class NotThere(Exception):
    """The packages cannot be had, or lack a driver."""


@dataclass(frozen=True)
class Device:
    """A graphics card: its name, its driver, the no-op device below that, and what tells that which card it is."""

    name: str
    title: str
    driver: str
    shim: str
    environment: tuple
    # What makes the driver print machine code that it does not give otherwise.
    printing: tuple = ()

    def files(self, mesa):
        """Driver and no-op device in the unpacked packages, or `None` where they have no such driver."""
        names = (f"libvulkan_{self.driver}.so", f"lib{self.shim}_noop_drm_shim.so")
        found = [next(mesa.glob(f"usr/lib/*/{name}"), None) for name in names]
        return found if all(found) else None


def amd(name, title):
    return Device(name, title, "radeon", "amdgpu", (("AMDGPU_GPU_ID", name),))


DEVICES = [
    amd("navi31", "AMD RDNA3 (navi31), RADV"),
    amd("navi21", "AMD RDNA2 (navi21), RADV"),
    amd("vega10", "AMD Vega (vega10), RADV"),
    Device("ga102", "NVIDIA Ampere (GA102), NVK", "nouveau", "nouveau", (("NOUVEAU_CHIPSET", "0x172"),)),
    Device("m1", "Apple M1, Honeykrisp", "asahi", "asahi", (), (("AGX_MESA_DEBUG", "shaders"),)),
]


def unpacked(folder, suite):
    """The folder with the files of a Debian suite's packages: they are downloaded once, and installed nowhere."""
    if (folder / "packages.txt").exists():
        return folder
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise NotThere(f"there is no {tool} to download Debian's {' and '.join(PACKAGES[:2])}: unpack them and what they"
                           " need into a folder, and name it with --mesa")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{suite}-") as new:
        new = Path(new)
        archives = download(new / "apt", suite)
        for archive in archives:
            subprocess.run(["dpkg", "-x", archive, new], check=True)
        shutil.rmtree(new / "apt")
        new.chmod(0o755)
        (new / "packages.txt").write_text("".join(f"{archive.name}\n" for archive in archives))
        # Another run may have been faster.
        if not folder.exists():
            new.rename(folder)
            new.mkdir()
    return folder


def download(state, suite):
    """Packages with all that they need, the C library too: apt resolves as on a system that has nothing."""
    for part in ("lists/partial", "cache/archives/partial", "empty"):
        (state / part).mkdir(parents=True)
    (state / "status").touch()
    key = f"[signed-by={KEYS}] " if Path(KEYS).exists() else ""
    (state / "suite.list").write_text(f"deb {key}{site()} {suite} main\n")
    options = {
        "Dir::Etc::SourceList": state / "suite.list",
        "Dir::Etc::SourceParts": state / "empty",
        "Dir::State::Lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        # apt's own user may not write here.
        "APT::Sandbox::User": "root",
        # Where there is no network, the answer comes soon.
        "Acquire::Retries": "1",
        "Acquire::http::Timeout": "20",
        "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    }
    apt = ["apt-get", "-q", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    install = ["install", "--no-install-recommends", "--download-only", "-y", *PACKAGES]
    for words in (["update", "--error-on=any"], install):
        ran = subprocess.run([*apt, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if ran.returncode != 0:
            problems = [line for line in ran.stdout.splitlines() if line.startswith(("E:", "Err:"))]
            raise NotThere(f"the packages of Debian's {suite} cannot be had: " + " ".join(problems or ["apt-get failed"])[:400])
    return sorted((state / "cache/archives").glob("*.deb"))


def site():
    """This machine's own source of Debian's packages, which may be a mirror."""
    ran = subprocess.run(["apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(SITE)", "Created-By: Packages"],
                         capture_output=True, text=True)
    found = re.search(r"^Debian Debian (\S+)$", ran.stdout, re.MULTILINE)
    return found.group(1) if found else DEBIAN


def version(mesa):
    """Such as ` of Mesa 25.0.7-2`, where it is known."""
    packages = mesa / "packages.txt"
    found = re.search(r"^mesa-vulkan-drivers_([^_]+)", packages.read_text() if packages.exists() else "", re.MULTILINE)
    return f" of Mesa {found.group(1)}" if found else ""


class Runner:
    """Runs programs on one device."""

    def __init__(self, mesa, device, scratch):
        files = device.files(mesa)
        if files is None:
            raise NotThere(f"the packages in {mesa} have no {device.driver} driver with a no-op device")
        self.driver, self.shim = (path.resolve() for path in files)
        self.libraries = self.driver.parent
        self.environment = dict(device.environment)
        self.scratch = Path(scratch)
        self.manifest = self.scratch / "driver.json"
        self.manifest.write_text(
            '{"file_format_version": "1.0.0", "ICD": {"library_path": "%s", "api_version": "1.3.0"}}' % self.driver)

    def run(self, program, arguments, variables=()):
        """Runs a program, through the loader that came with the packages, since they may be newer than this system."""
        loader = next(self.libraries.glob("ld-linux-*.so.*"), None)
        if loader is None:
            raise NotThere(f"{self.libraries} has no C library: unpack libc6 as well")
        # This system's folder comes last, for what the program needs beyond the packages.
        folders = f"{self.libraries}:/usr/lib/{self.libraries.name}"
        command = [loader, "--library-path", folders, "--preload", self.shim, program, *arguments]
        environment = {
            **os.environ,
            **self.environment,
            "VK_DRIVER_FILES": str(self.manifest),
            "VK_ICD_FILENAMES": str(self.manifest),
            # Nothing is compiled that a cache has: the driver's, or the program's own.
            "MESA_SHADER_CACHE_DISABLE": "true",
            "XDG_CACHE_HOME": str(self.scratch / "cache"),
            "XDG_RUNTIME_DIR": str(self.scratch),
            **dict(variables),
        }
        return subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True, errors="replace")
