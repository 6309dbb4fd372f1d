#!/usr/bin/python3
"""Linux's own initiator logs in with CHAP and digests, and puts ext4 and XFS on disks that are served; both are used,
trimmed, grown while they are mounted, and checked. Nothing may be wrong in the kernel's view."""

import os
import pathlib
import re
import unittest

import environment
from machine import Machine
from open_iscsi import DIGESTS, OpenIscsi
from server import Server

MIB = 1 << 20
SIZE = 512 * MIB
TARGET = "iqn.2026-11.test:vm"
CHAP = {"node.session.auth.authmethod": "CHAP", "node.session.auth.username": "guest",
        "node.session.auth.password": "the guest's secret"}
MUTUAL = {**CHAP, "node.session.auth.username_in": "target", "node.session.auth.password_in": "the target's secret"}
CONFIGURATION = """
[[portal]]
listen = "127.0.0.1:0"
[[target]]
name = "{target}"
[target.chap]
accounts = [{{ name = "guest", secret = "the guest's secret" }}]
mutual = {{ name = "target", secret = "the target's secret" }}
[[target.lun]]
disk = "first.img"
[[target.lun]]
disk = "second.img"
block_size = 4096
"""
FIO = """
cd {directory}
fio --name=random --rw=randwrite --bs=4k-64k --size=24m --ioengine=libaio --iodepth=16 --direct=1 --minimal \\
    --verify=crc32c --verify_fatal=1 --do_verify=1 --randseed={seed} > /dev/null
fio --name=stream --rw=write --bs=1m --size=40m --fsync_on_close=1 --minimal --verify=crc32c --verify_fatal=1 \\
    > /dev/null
cp -r /usr/sbin copies
"""


class FilesystemTest(unittest.TestCase):
    """One guest, one server, and what an administrator would do from login to logout."""

    def setUp(self):
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.disks = [self.directory / name for name in ("first.img", "second.img")]
        for disk in self.disks:
            with open(disk, "wb") as file:
                file.truncate(SIZE)
        self.configuration = self.directory / "peerlane.toml"
        self.configuration.touch(mode=0o600)
        self.configuration.write_text(CONFIGURATION.format(target=TARGET))

    def test_file_systems(self):
        with Server(config=self.configuration, luns=2) as server, Machine() as guest:
            self.guest, port = guest, server.address[1]
            guest.expect_in_kernel_log("Capacity data has changed")
            initiator = OpenIscsi(guest)
            self.assertEqual([(f"127.0.0.1:{port}", TARGET)], initiator.discover(port))
            self.check_refusals(initiator, port)

            one_way = initiator.log_in(TARGET, port, CHAP)
            self.assertRegex(one_way.details(), r"HeaderDigest: None\s+DataDigest: None")
            self.use(one_way.disk(0), "ext4", self.disks[0])
            one_way.log_out()

            both_ways = initiator.log_in(TARGET, port, {**MUTUAL, **DIGESTS})
            self.assertRegex(both_ways.details(), r"HeaderDigest: CRC32C\s+DataDigest: CRC32C")
            self.use(both_ways.disk(1), "xfs", self.disks[1])
            self.grow(both_ways)
            both_ways.log_out()
            self.assertIn("No active sessions", guest.run("iscsiadm -m session", check=False)[1])
        # The file has what the guest's kernel wrote into it.
        self.assertEqual("ext4", self.type_of(self.disks[0]))
        self.assertEqual("xfs", self.type_of(self.disks[1]))

    def type_of(self, disk):
        with open(disk, "rb") as file:
            start = file.read(4096)
        return "xfs" if start[:4] == b"XFSB" else "ext4" if start[1080:1082] == b"\x53\xef" else "unknown"

    def check_refusals(self, initiator, port):
        """Without credentials, with a wrong secret, and with a target that cannot prove itself there is no session."""
        wrong = {**CHAP, "node.session.auth.password": "not the secret at all"}
        stranger = {**MUTUAL, "node.session.auth.password_in": "another's secret"}
        for settings, reason in (({}, "authorization failure"), (wrong, "authorization failure"),
                                 (stranger, "non-retryable iSCSI login failure")):
            with self.subTest(settings):
                status, output = initiator.log_in(TARGET, port, settings, check=False)
                self.assertNotEqual(0, status, output)
                self.assertIn(reason, output)
                self.guest.run("iscsiadm -m node -o delete")

    def use(self, disk, kind, image):
        """Makes a file system, fills it with verified data, trims it, and checks it when it is no longer mounted."""
        force = "-f" if kind == "xfs" else "-F"
        check = "xfs_repair -n" if kind == "xfs" else "e2fsck -fn"
        mount = f"mount -t {kind} {disk} /mnt/{kind}"
        self.guest.run(f"mkdir -p /mnt/{kind}; mkfs.{kind} -q {force} {disk}; {mount}", 120)
        self.guest.run(FIO.format(directory=f"/mnt/{kind}", seed=len(kind)), 240)
        self.guest.run("sync")
        used = image.stat().st_blocks * 512
        self.guest.run(f"rm /mnt/{kind}/random* /mnt/{kind}/stream*; sync")
        trimmed = self.guest.run(f"fstrim -v /mnt/{kind}")
        self.assertGreater(int(re.search(r"(\d+) bytes", trimmed)[1]), 100 * MIB)
        # What was trimmed has left the host's disk, too.
        self.assertLess(image.stat().st_blocks * 512, used - 32 * MIB)
        self.guest.run(f"umount /mnt/{kind}; {check} {disk}", 120)
        self.guest.run(f"{mount}; diff -r /usr/sbin /mnt/{kind}/copies; umount /mnt/{kind}", 120)

    def grow(self, session):
        """The disk grows while its file system is mounted, and the guest is told."""
        disk = session.disk(1)
        name = disk.removeprefix("/dev/")
        sectors = int(self.guest.run(f"cat /sys/block/{name}/size"))
        self.assertEqual(SIZE // 512, sectors)
        self.guest.run(f"mount -t xfs {disk} /mnt/xfs")
        os.truncate(self.disks[1], 2 * SIZE)
        # The next command that the disk gets answers with a unit attention, which udev hears of.
        self.guest.wait_until(f"sg_turs {disk} || true; dmesg | grep -q 'Capacity data has changed'")
        session.rescan()
        self.assertEqual(2 * SIZE // 512, int(self.guest.run(f"cat /sys/block/{name}/size")))
        self.guest.run("xfs_growfs /mnt/xfs > /dev/null; dd if=/dev/urandom of=/mnt/xfs/new bs=1M count=32; sync", 120)
        kib = int(self.guest.run("df -k /mnt/xfs | awk 'END { print $2 }'"))
        self.assertGreater(kib, 2 * SIZE // 1024 * 0.9)
        self.guest.run(f"umount /mnt/xfs; xfs_repair -n {disk}", 120)


if __name__ == "__main__":
    unittest.main()
