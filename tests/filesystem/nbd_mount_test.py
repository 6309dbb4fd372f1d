#!/usr/bin/python3
"""An application reads and writes files of a mounted file system whose blocks lie on a remote LUN, without iSCSI in the
kernel: file system, loop device, nbdfuse, nbdkit with Peerlane's plugin, network, target, disk."""

import os
import pathlib
import subprocess
import time
import unittest

import environment
import tools
from nbdkit import Nbdkit
from server import Server

MIB = 1 << 20
SIZE = 512 * MIB


def missing():
    """Why this cannot be tested here; empty if it can."""
    if os.geteuid() != 0:
        return "mounting is root's"
    for device in ("/dev/fuse", "/dev/loop-control"):
        try:
            os.close(os.open(device, os.O_RDWR))
        except OSError as error:
            return f"{device}: {error.strerror}"
    for name in ("nbdfuse", "losetup", "mkfs.ext4", "mkfs.xfs", "xfs_repair", "e2fsck"):
        try:
            environment.tool(name)
        except FileNotFoundError as error:
            return str(error)
    return ""


def source_trees():
    """Real trees of sources, with many small files."""
    include = pathlib.Path("/usr/include")
    return [tree for tree in (environment.ROOT / "src", include / "linux", include / "c++") if tree.is_dir()]


class Mounted:
    """An NBD export as a loop device, by way of nbdfuse. Takes apart what it has built, also after a failure."""

    def __init__(self, uri):
        self.uri = uri
        self.directory = environment.scratch()
        self.fuse = pathlib.Path(self.directory.name) / "nbd"
        self.mount_point = pathlib.Path(self.directory.name) / "mnt"
        self.undo = []  # commands, the last one first
        self.process = None
        self.device = None

    def __enter__(self):
        self.fuse.mkdir()
        self.mount_point.mkdir()
        self.process = subprocess.Popen([environment.tool("nbdfuse"), self.fuse, self.uri], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + environment.seconds(20)
        while not os.path.ismount(self.fuse):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise AssertionError("nbdfuse does not start")
            time.sleep(0.05)
        self.undo.append(("umount", self.fuse))
        try:
            self.device = tools.run("losetup", "--find", "--show", self.fuse / "nbd").strip()
            self.undo.append(("losetup", "--detach", self.device))
        except AssertionError:
            self.__exit__(None, None, None)
            raise
        return self

    def mount(self):
        tools.run("mount", self.device, self.mount_point)
        self.undo.append(("umount", self.mount_point))

    def unmount(self):
        tools.run(*self.undo.pop(), timeout=120)

    def __exit__(self, kind, value, traceback):
        failures = []
        while self.undo:
            done = tools.run(*self.undo.pop(), timeout=120, check=False)
            if done.returncode != 0:
                failures.append(done.stdout)
        try:
            self.process.wait(environment.seconds(30))
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait()
        self.directory.cleanup()
        if failures and kind is None:
            raise AssertionError("\n".join(failures))


@unittest.skipIf(missing(), missing())
class NbdMountTest(unittest.TestCase):
    def use_file_system(self, make, check):
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        disk = pathlib.Path(directory.name) / "disk"
        with open(disk, "wb") as file:
            file.truncate(SIZE)
        with Server(disk) as server, Nbdkit(server.url) as nbd:
            with Mounted(nbd.uri) as mounted:
                tools.run(*make, mounted.device, timeout=120)
                mounted.mount()
                for tree in source_trees():
                    tools.run("cp", "-a", tree, mounted.mount_point, timeout=240)
                mounted.unmount()
                tools.run(*check, mounted.device, timeout=240)
                self.compare(mounted)
                tools.run(*check, mounted.device, timeout=240)
        # When all that was between is gone, the file system is on the target's disk.
        tools.run(*check, *(["-f"] if check[0] == "xfs_repair" else []), disk, timeout=240)

    def compare(self, mounted):
        """Mounts it again: what is read was not in memory any more."""
        mounted.mount()
        for tree in source_trees():
            tools.run("diff", "-r", "--no-dereference", tree, mounted.mount_point / tree.name, timeout=240)
        self.assertGreater(len(list(mounted.mount_point.rglob("*"))), 1000)
        mounted.unmount()

    def test_ext4(self):
        self.use_file_system(("mkfs.ext4", "-q"), ("e2fsck", "-fn"))

    def test_xfs(self):
        self.use_file_system(("mkfs.xfs", "-q"), ("xfs_repair", "-n"))


if __name__ == "__main__":
    unittest.main()
