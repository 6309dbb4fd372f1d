#!/usr/bin/python3
"""The initiator against LIO, the target in Linux's kernel, both in a guest: CHAP both ways, digests, transfers with
verification, unmap, write same, compare and write, reservations. tests/interop/initiator/exercise.cc is the user."""

import json
import os
import shlex
import unittest

import environment
from machine import Machine

EXERCISE = os.environ.get("PEERLANE_EXERCISE", "build/release/tests/interop/initiator/initiator_exercise")
TARGET = "iqn.2026-11.test:lio"
NAME = "iqn.2026-11.test:guest"
MIB = 1 << 20
ONE_WAY = {"PEERLANE_INITIATOR_NAME": NAME, "PEERLANE_CHAP_USER": "guest",
           "PEERLANE_CHAP_SECRET": "the guest's secret"}
MUTUAL = {**ONE_WAY, "PEERLANE_TARGET_CHAP_USER": "target", "PEERLANE_TARGET_CHAP_SECRET": "the target's secret"}

# LUN 0 is memory, LUN 1 a file that can be unmapped.
LIO = f"""
# Where LIO keeps state of its own.
mkdir -p /etc/target/pr
modprobe iscsi_target_mod; modprobe target_core_file
mount -t configfs configfs /sys/kernel/config
cd /sys/kernel/config/target
mkdir -p core/rd_mcp_0/memory core/fileio_0/file
for disk in rd_mcp_0/memory fileio_0/file; do
  echo 9f1c5f0e-2026-4a11-8a57-${{disk##*/}} > core/$disk/wwn/vpd_unit_serial
done
echo rd_pages=16384 > core/rd_mcp_0/memory/control
echo 1 > core/rd_mcp_0/memory/enable
truncate -s 64M /run/disk
echo fd_dev_name=/run/disk,fd_dev_size={64 * MIB} > core/fileio_0/file/control
echo 1 > core/fileio_0/file/enable
echo 1 > core/fileio_0/file/attrib/emulate_tpu
echo 1 > core/fileio_0/file/attrib/emulate_tpws
echo 1 > core/fileio_0/file/attrib/unmap_zeroes_data
group=iscsi/{TARGET}/tpgt_1
mkdir -p $group/np/127.0.0.1:3260 $group/lun/lun_0 $group/lun/lun_1
ln -s /sys/kernel/config/target/core/rd_mcp_0/memory $group/lun/lun_0/memory
ln -s /sys/kernel/config/target/core/fileio_0/file $group/lun/lun_1/file
echo 1 > $group/attrib/authentication
for acl in $group/acls/{NAME} $group/acls/{NAME}:second; do
  mkdir -p $acl/lun_0 $acl/lun_1
  ln -s /sys/kernel/config/target/$group/lun/lun_0 $acl/lun_0/memory
  ln -s /sys/kernel/config/target/$group/lun/lun_1 $acl/lun_1/file
  printf %s guest > $acl/auth/userid
  printf %s "the guest's secret" > $acl/auth/password
  printf %s target > $acl/auth/userid_mutual
  printf %s "the target's secret" > $acl/auth/password_mutual
done
echo 1 > $group/enable
"""


class LioTest(unittest.TestCase):
    def exercise(self, mode, lun=0, options="", env=None, check=True):
        """Runs an exercise on a LUN: its output; with check=False status and output."""
        variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in (env or ONE_WAY).items())
        url = shlex.quote(f"iscsi://127.0.0.1/{TARGET}/{lun}{options}")
        return self.guest.run(f"{variables} initiator_exercise {mode} {url}", 120, check)

    def facts(self, *arguments, **named):
        return dict(line.split(" ", 1) for line in self.exercise(*arguments, **named).splitlines() if " " in line)

    def test_all(self):
        with Machine(network=False, programs=[EXERCISE, environment.peerlane()]) as self.guest:
            # LIO looks for all kinds of disks, and logs refused logins, differences found, GET LBA STATUS, VERIFY,
            # and a session that comes back before it has noticed that it was gone.
            self.guest.expect_in_kernel_log("Unable to load target_core_", "no valid values from Acceptor's",
                                            "Security negotiation failed", "iSCSI Login negotiation failed",
                                            "Unsupported SA: 0x12", "Detected MISCOMPARE",
                                            "Expected Transfer Length: 0 .* SAM Opcode: 0x8f",
                                            "Receive Copy Results with non zero list identifier",
                                            "Exiting Time2Retain handler because session_reinstatement=1")
            self.guest.run(LIO)
            self.check_login()
            self.check_transfers()
            self.check_commands()
            self.check_reservations()
            self.check_copies()

    def check_login(self):
        found = self.facts("facts")
        self.assertEqual((str(64 * MIB), "512", "false false"), (found["size"], found["block"], found["digests"]))
        self.assertIn("naa.", found["identity"])
        self.exercise("facts", env=MUTUAL)
        wrong = {**ONE_WAY, "PEERLANE_CHAP_SECRET": "not the secret at all"}
        stranger = {**MUTUAL, "PEERLANE_TARGET_CHAP_SECRET": "somebody else's secret"}
        for env, reason in (({"PEERLANE_INITIATOR_NAME": NAME}, "if it wants CHAP"),
                            (wrong, "check CHAP user and secret"), (stranger, "the target's proof is wrong")):
            status, output = self.exercise("facts", env=env, check=False)
            self.assertEqual(1, status, output)
            self.assertIn(reason, output)

    def check_transfers(self):
        for digests, expected in (("none", "false false"), ("require", "true true")):
            options = f"?header_digest={digests}&data_digest={digests}"
            for lun in (0, 1):
                with self.subTest(lun=lun, digests=digests):
                    self.assertEqual(expected, self.facts("facts", lun, options, env=MUTUAL)["digests"])
                    self.exercise("transfer", lun, options, env=MUTUAL)

    def check_commands(self):
        memory, file = (self.facts("provisioning", lun) for lun in (0, 1))
        self.assertTrue(memory["unmap"].startswith("false"), memory)
        self.assertTrue(file["unmap"].startswith("true write_zeroes true"), file)
        for lun in (0, 1):
            with self.subTest(lun=lun):
                found = self.facts("commands", lun)
                self.assertEqual("true", found["compare_and_write"])
                # LIO takes the data of VERIFY and does not look at them.
                self.assertEqual("false", found["verify_compares"])

    def check_reservations(self):
        """What LIO refuses to those who are not registered: even READ CAPACITY, while access is exclusive."""
        for lun in (0, 1):
            with self.subTest(lun=lun):
                found = self.facts("reservations", lun)
                self.assertEqual(("false", "true"), (found["size_while_reserved"], found["survives_reconnect"]))

    def copy(self, *arguments):
        """What `peerlane copy` tells of a copy between two LUNs."""
        variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in MUTUAL.items())
        urls = " ".join(f"iscsi://127.0.0.1/{TARGET}/{arguments[at]}" for at in (0, 1))
        options = " ".join(map(str, arguments[2:]))
        return json.loads(self.guest.run(f"{variables} peerlane copy {urls} --json --quiet {options}", 120))

    def check_copies(self):
        """LIO copies by itself: XCOPY, as its own source calls EXTENDED COPY(LID1)."""
        self.guest.run("dd if=/dev/urandom of=/run/disk bs=1M count=64 conv=notrunc status=none")
        for source, destination in ((1, 0), (0, 1)):
            with self.subTest(source=source):
                if source == 0:
                    self.guest.run("cp /run/disk /run/before; dd if=/dev/zero of=/run/disk bs=1M count=64 conv=notrunc "
                                   "status=none")
                told = self.copy(source, destination, "--only third-party", "--verify")
                self.assertEqual((64 * MIB, 0),
                                 (told["bytes_by_way"]["third-party copy"], told["memory_bytes"]), told)
                self.assertIsNone(told["storage"])  # it does not tell how
        self.guest.run("cmp /run/disk /run/before")
        plan = self.copy(0, 1, "--explain")
        self.assertEqual(f"within the target {TARGET} by EXTENDED COPY", plan["routes"][0]["through"])


if __name__ == "__main__":
    unittest.main()
