#!/usr/bin/python3
"""`peerlane attach` in a guest: remote disks become block devices through ublk. File systems on them are used, trimmed,
grown while mounted, checked, and lose their disk; the serving process is killed under verified I/O, and the next one
goes on."""

import json
import os
import pathlib
import re
import unittest

import environment
import machine
from load import Load
from machine import Machine
from server import Server

MIB = 1 << 20
SIZE = 384 * MIB
FIO = """
cd {directory}
fio --name=random --rw=randwrite --bs=4k-64k --size=16m --ioengine=libaio --iodepth=16 --direct=1 --minimal \\
    --verify=crc32c --verify_fatal=1 --do_verify=1 > /dev/null
fio --name=stream --rw=write --bs=1m --size=64m --fsync_on_close=1 --minimal --verify=crc32c --verify_fatal=1 \\
    > /dev/null
"""


class AttachTest(unittest.TestCase):
    def setUp(self):
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        self.image = pathlib.Path(directory.name) / "disk.img"
        with open(self.image, "wb") as file:
            file.truncate(SIZE)

    def machine(self):
        return Machine(programs=[environment.peerlane()], qemu_arguments=("-smp", "2"))

    def attach(self, disk, options=""):
        """The device; what is said besides its name is shown when it fails."""
        return self.guest.run(f"peerlane attach --log-file /run/attach.log {options} {disk} 2> /run/said || "
                              "{ cat /run/said; exit 1; }", 120).strip()

    def attached(self):
        return json.loads(self.guest.run("peerlane attach --list --json"))

    def process(self):
        """That which serves the one disk."""
        (entry,) = self.attached()
        return entry["pid"]

    def refused(self, command, *words):
        """A command that must fail, with all of these words in what it says."""
        status, output = self.guest.run(command, check=False)
        self.assertEqual(1, status, output)
        for word in words:
            self.assertIn(word, output)

    def url(self, server):
        return server.url.replace("127.0.0.1", machine.HOST)

    def queue(self, device, name):
        return self.guest.run(f"cat /sys/block/{device.removeprefix('/dev/')}/queue/{name}").strip()

    def test_use(self):
        with Server(self.image, options=("--threads", "2")) as server, self.machine() as guest:
            self.guest = guest
            self.refused("peerlane attach ram:64M", "modprobe ublk_drv", "nbdkit")
            guest.run("modprobe ublk_drv")
            self.refused("peerlane attach /nowhere", "/nowhere")
            self.assertEqual([], self.attached())

            device = self.attach(self.url(server), "--queues 2")
            self.assertEqual("/dev/ublkb0", device)
            (entry,) = self.attached()
            self.assertEqual((device, "live", SIZE, 2),
                             (entry["device"], entry["state"], entry["size"], entry["queues"]))
            self.assertIn(server.target, entry["disk"])
            self.assertEqual("2", guest.run("ls /sys/block/ublkb0/mq | wc -l").strip())
            self.assertEqual(("write back", "1"), (self.queue(device, "write_cache"), self.queue(device, "fua")))
            self.assertGreater(int(self.queue(device, "discard_max_bytes")), 0)
            self.refused(f"peerlane attach {self.url(server)}", "attached already", device)

            self.use(device)
            self.grow(device)
            guest.run(f"umount /mnt/disk; e2fsck -fn {device}", 120)
            process = self.process()
            guest.run(f"peerlane detach {device}; ! test -e {device}")
            guest.wait_until(f"! test -e /proc/{process}")
            self.assertEqual([], self.attached())
            self.refused(f"peerlane detach {device}", "there is no /dev/ublkb0")
            self.check_memory_disk()

    def use(self, device):
        """A file system whose discards reach the host's file, and whose flushes are asked for."""
        guest = self.guest
        guest.run(f"mkfs.ext4 -q {device}; mkdir /mnt/disk; mount {device} /mnt/disk", 120)
        guest.run(FIO.format(directory="/mnt/disk"), 240)
        guest.run("cp -r /usr/sbin /mnt/disk/copies; sync")
        self.refused(f"peerlane detach {device}", "in use")
        used = self.image.stat().st_blocks * 512
        guest.run("rm /mnt/disk/random* /mnt/disk/stream*; sync")
        trimmed = int(re.search(r"(\d+) bytes", guest.run("fstrim -v /mnt/disk"))[1])
        self.assertGreater(trimmed, 100 * MIB)
        self.assertLess(self.image.stat().st_blocks * 512, used - 64 * MIB)
        self.assertGreater(int(guest.run("awk '{ print $16 }' /sys/block/ublkb0/stat")), 0)
        guest.run(f"umount /mnt/disk; e2fsck -fn {device}", 120)
        guest.run(f"mount {device} /mnt/disk; diff -r /usr/sbin /mnt/disk/copies", 120)

    def grow(self, device):
        os.truncate(self.image, 2 * SIZE)
        self.guest.wait_until(f"test $(blockdev --getsize64 {device}) = {2 * SIZE}")
        self.guest.run(f"resize2fs {device}", 120)
        kib = int(self.guest.run("df -k /mnt/disk | awk 'END { print $2 }'"))
        self.assertGreater(kib, 2 * SIZE // 1024 * 0.85)

    def check_memory_disk(self):
        """A disk without an identity; it is stopped by a signal, when nobody uses it."""
        guest = self.guest
        device = self.attach("ram:64M")
        guest.run(f"fio --name=raw --filename={device} --rw=randwrite --bs=4k-256k --size=16m --ioengine=libaio "
                  "--iodepth=32 --direct=1 --sync=1 --verify=crc32c --verify_fatal=1 --minimal > /dev/null", 120)
        guest.run(f"/usr/sbin/blkdiscard {device}; cmp -n {64 * MIB} {device} /dev/zero")
        guest.run(f"/usr/sbin/blkdiscard -z {device}")
        process = self.process()
        guest.run(f"mkfs.ext4 -q {device}; mount {device} /mnt/disk; kill {process}")
        guest.wait_until("grep -q 'asked to stop: /dev/ublkb0 is in use' /run/attach.log")
        guest.run(f"sync; umount /mnt/disk; kill {process}")
        guest.wait_until(f"! test -e {device} && ! test -e /proc/{process}")
        read_only = self.attach("ram:64M", "--read-only")
        self.assertNotEqual(0, guest.run(f"echo x > {read_only}", check=False)[0])
        guest.run(f"peerlane detach {read_only}")

    def test_xfs_and_force(self):
        """XFS, whose disk is then taken away under it: what it had synced is there when the disk comes back."""
        with Server(self.image, options=("--threads", "2")) as server, self.machine() as guest:
            self.guest = guest
            guest.expect_in_kernel_log("XFS .*Block device removal", "XFS .*Please unmount the filesystem")
            guest.run("modprobe ublk_drv; modprobe xfs")
            device = self.attach(self.url(server), "--queues 2")
            guest.run(f"mkfs.xfs -q {device}; mkdir /mnt/disk; mount {device} /mnt/disk", 120)
            guest.run(FIO.format(directory="/mnt/disk"), 240)
            guest.run("cp -r /usr/sbin /mnt/disk/copies; rm /mnt/disk/random* /mnt/disk/stream*; sync")
            self.assertGreater(int(re.search(r"(\d+) bytes", guest.run("fstrim -v /mnt/disk"))[1]), 100 * MIB)
            guest.run(f"umount /mnt/disk; xfs_repair -n {device}; mount {device} /mnt/disk", 120)
            self.refused(f"peerlane detach {device}", "in use")
            process = self.process()
            guest.run(f"peerlane detach --force {device}; ! test -e {device}")
            guest.wait_until(f"! test -e /proc/{process}")
            self.assertEqual([], self.attached())
            self.assertNotEqual(0, guest.run("cp /usr/sbin/fstrim /mnt/disk/more && sync /mnt/disk/more",
                                             check=False)[0])
            guest.run("umount /mnt/disk")
            self.assertEqual(device, self.attach(self.url(server)))
            guest.run(f"mount {device} /mnt/disk; diff -r /usr/sbin /mnt/disk/copies; umount /mnt/disk", 120)
            guest.run(f"xfs_repair -n {device}; peerlane detach {device}", 120)

    def test_recovery(self):
        with Server(self.image, options=("--threads", "2")) as server, self.machine() as guest:
            self.guest = guest
            guest.run("modprobe ublk_drv")
            device = self.attach(self.url(server), "--queues 2")
            guest.run(f"mkfs.ext4 -q {device}; mkdir /mnt/disk; mount {device} /mnt/disk", 120)
            load = Load(guest, "/mnt/disk/load")
            for _ in range(3):
                load.wait_for_progress(device)
                guest.run(f"kill -9 {self.process()}")
                # Nobody waits for the end of the one that was killed.
                self.assertEqual(device, self.attach(self.url(server)))
                self.assertEqual("live", self.attached()[0]["state"])
            load.wait_for_progress(device)
            self.assertGreater(load.finish(), 0)
            guest.run(f"kill -9 {self.process()}")
            guest.wait_until("peerlane attach --list | grep -q waiting")
            self.assertEqual(device, self.attach(self.url(server)))
            guest.run(f"umount /mnt/disk; e2fsck -fn {device}", 120)
            guest.run(f"peerlane detach {device}; ! test -e {device}")
            self.assertEqual(3 + 1, guest.run("cat /run/attach.log").count("taken over"))


if __name__ == "__main__":
    unittest.main()
