"""The guest's file system, a cpio archive that the kernel unpacks into memory.

It holds chosen programs of the fetched packages, the libraries that they need, chosen kernel modules with what these
depend on, busybox under the name of everything else, and guest/init. It is not compressed: the guest's processor is
emulated, and copying costs it less than unpacking. What was built is kept in the cache, under a name that changes
with everything that goes into it.
"""

import hashlib
import os
import pathlib
import posixpath
import re
import shutil
import subprocess
import tempfile
import time

import environment
import vm_cache

HERE = pathlib.Path(__file__).resolve().parent

# Files of the guest's packages, as patterns below /usr (the packages' /bin, /sbin and /lib are the same directories).
FILES = (
    "bin/sg_*", "bin/ddpt*", "bin/fio", "bin/udevadm", "lib/systemd/systemd-udevd", "lib/udev/*_id", "sbin/dmsetup",
    "sbin/iscsid", "sbin/iscsiadm", "sbin/multipath", "sbin/multipathd", "lib/multipath/*.so", "sbin/blkdiscard",
    "sbin/blkid", "sbin/fstrim", "sbin/mke2fs", "sbin/mkfs.ext4", "sbin/e2fsck", "sbin/resize2fs", "sbin/mkfs.xfs",
    "sbin/xfs_repair", "sbin/xfs_growfs", "sbin/mkfs.btrfs", "sbin/modprobe",
    # What is loaded by name and not named in the programs: the loader itself, and what ends threads.
    "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "lib64/*", "lib/x86_64-linux-gnu/libgcc_s.so.1",
    *(f"lib/udev/rules.d/{name}.rules" for name in (
        "50-udev-default", "55-dm", "55-scsi-sg3_id", "56-dm-mpath", "58-scsi-sg3_symlink", "60-block", "60-multipath",
        "60-persistent-storage-dm", "60-persistent-storage", "95-dm-notify")),
)
CONFIGURATION = ("etc/iscsi/iscsid.conf", "etc/mke2fs.conf")
MODULES = ("virtio_net", "iscsi_tcp", "sd_mod", "sg", "xfs", "btrfs", "dm-mod", "dm-multipath", "dm-service-time",
           "dm-round-robin", "ublk_drv", "target_core_file", "target_core_iblock", "iscsi_target_mod",
           "sha3", "nfsd", "nfsv4")


def build():
    """The path of the archive, and the kernel that it belongs to."""
    kernel, root = vm_cache.kernel(), vm_cache.root()
    path = vm_cache.directory() / f"guest-{_fingerprint(kernel, root)}.cpio"
    if not path.exists():
        with tempfile.TemporaryDirectory(prefix="building-", dir=vm_cache.directory()) as work:
            tree = pathlib.Path(work) / "tree"
            _Tree(root, tree).make()
            _add_modules(kernel, tree)
            unfinished = pathlib.Path(work) / "cpio"
            _archive(tree, unfinished)
            unfinished.rename(path)
    os.utime(path)
    _remove_unused()
    return path, kernel


def with_programs(archive, programs, directory):
    """An archive in `directory` that has programs of this host as well, each with the libraries that it has here: the
    kernel unpacks archives that follow each other. They are /usr/bin/NAME in the guest."""
    tree = directory / "programs"
    (tree / "usr/bin").mkdir(parents=True)
    for program in map(pathlib.Path, programs):
        home = tree / "opt" / program.name
        home.mkdir(parents=True)
        subprocess.run(["strip", "-o", home / program.name, program], check=True)
        listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            shutil.copy(library, home)
        start = tree / "usr/bin" / program.name
        start.write_text(f"#!/bin/sh\nhome=/opt/{program.name}\n"
                         f'exec $home/ld-linux-x86-64.so.2 --library-path $home $home/{program.name} "$@"\n')
        start.chmod(0o755)
    added = directory / "programs.cpio"
    _archive(tree, added)
    joined = directory / "guest.cpio"
    with open(joined, "wb") as file:
        for part in (archive, added):
            file.write(part.read_bytes())
    return joined


def _remove_unused():
    """Removes archives that nobody has asked for in a week; other work trees may still use theirs."""
    for path in vm_cache.directory().glob("guest-*.cpio"):
        if path.stat().st_mtime < time.time() - 7 * 86400:
            path.unlink(missing_ok=True)


def _fingerprint(kernel, root):
    digest = hashlib.sha256(f"{kernel.version} {root.name}".encode())
    for path in (pathlib.Path(__file__), *sorted((HERE / "guest").iterdir())):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class _Tree:
    """Copies out of the unpacked packages, with the libraries that the copied programs need."""

    def __init__(self, root, tree):
        self.root, self.tree = root, tree
        # Packages still have files both in /lib and /usr/lib and so on: here, all is below /usr.
        self.files = {}
        for top in ("", "usr"):
            for path in (root / top).rglob("*"):
                name = path.relative_to(root / top).as_posix()
                if name.split("/")[0] in ("bin", "sbin", "lib", "lib64") and not path.is_dir():
                    self.files[name] = path
        self.libraries = {pathlib.PurePath(name).name: name for name in self.files if ".so" in name}

    def make(self):
        for name in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "proc", "sys", "dev", "tmp", "run", "mnt",
                     "root", "var/lib"):
            (self.tree / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (self.tree / name).symlink_to(f"usr/{name}")
        (self.tree / "var/run").symlink_to("/run")
        for pattern in FILES:
            names = [name for name in self.files if pathlib.PurePath(name).match(pattern)]
            if not names:
                raise vm_cache.CannotFetch(f"no package in {self.root} has a file {pattern}")
            for name in names:
                self.add(name)
        for name in CONFIGURATION:
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.root / name, self.tree / name)
        self.add_busybox()
        # udev's rules and iscsid look users and groups up.
        for name in ("passwd", "group"):
            shutil.copy(self.root / f"usr/share/base-passwd/{name}.master", self.tree / f"etc/{name}")
        shutil.copy(HERE / "guest/init", self.tree / "init")
        (self.tree / "init").chmod(0o755)

    def add(self, name):
        target = self.tree / "usr" / name
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self._resolve(name), target)
        with open(target, "rb") as file:
            if file.read(4) != b"\x7fELF":
                return
        dynamic = subprocess.run(["readelf", "-dW", target], check=True, capture_output=True, text=True).stdout
        for library in re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic):
            if library not in self.libraries:
                raise vm_cache.CannotFetch(f"{name} needs {library}, which no package in {self.root} has")
            self.add(self.libraries[library])

    def _resolve(self, name):
        """The file behind a name. Links are followed within the packages: an absolute one starts at their root."""
        path = self.files[name]
        while path.is_symlink():
            target = posixpath.normpath(posixpath.join(posixpath.dirname(f"/usr/{name}"), os.readlink(path)))
            name = target.lstrip("/").removeprefix("usr/")
            path = self.files[name]
        return path

    def add_busybox(self):
        self.add("bin/busybox")
        applets = subprocess.run([self.tree / "usr/bin/busybox", "--list"], check=True, capture_output=True,
                                 text=True).stdout.split()
        for applet in applets:
            if not any((self.tree / f"usr/{folder}/{applet}").exists() for folder in ("bin", "sbin")):
                (self.tree / "usr/bin" / applet).symlink_to("busybox")


def _add_modules(kernel, tree):
    modules = kernel.directory / "lib/modules" / kernel.version
    for module in MODULES:
        done = subprocess.run([environment.tool("modprobe"), "-d", kernel.directory, "-S", kernel.version,
                               "--show-depends", module], check=True, capture_output=True, text=True)
        for line in done.stdout.splitlines():
            kind, _, path = line.partition(" ")
            if kind == "insmod":
                _unpack_module(pathlib.Path(path.strip()), modules, tree / "usr/lib/modules" / kernel.version)
    target = tree / "usr/lib/modules" / kernel.version
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        shutil.copy(modules / name, target / name)
    subprocess.run([environment.tool("depmod"), "-b", tree, kernel.version], check=True)


def _unpack_module(path, modules, target):
    unpacked = target / path.relative_to(modules).with_suffix("")
    if not unpacked.exists():
        unpacked.parent.mkdir(parents=True, exist_ok=True)
        with open(unpacked, "wb") as file:
            subprocess.run(["xz", "-dc", path], check=True, stdout=file)


def _archive(tree, path):
    names = "".join(f"{name.relative_to(tree).as_posix()}\0" for name in sorted(tree.rglob("*")))
    with open(path, "wb") as file:
        subprocess.run([environment.tool("cpio"), "--null", "--create", "--format=newc", "--quiet", "--owner=0:0"],
                       cwd=tree, input=names.encode(), stdout=file, check=True)
