#!/usr/bin/python3
"""One disk through two portals under multipath-tools: priorities come from ALUA, and I/O goes on while a path is cut,
while it comes back, and while the target asks for the other one."""

import pathlib
import re
import unittest

import environment
from load import Load
from machine import Machine
from open_iscsi import OpenIscsi
from relay import Relay
from server import Server, parse_url

MIB = 1 << 20
TARGET = "iqn.2026-11.test:paths"
CONFIGURATION = """
[[portal]]
listen = "127.0.0.1:0"
group = 1
[[portal]]
listen = "127.0.0.1:0"
group = 2
[[target]]
name = "{target}"
[[target.lun]]
disk = "disk.img"
"""
# Paths are looked at every second instead of every five to twenty; without any path I/O waits.
MULTIPATH = """
defaults {
  find_multipaths no
  user_friendly_names yes
  path_grouping_policy group_by_prio
  failback immediate
  no_path_retry queue
  fast_io_fail_tmo 2
  polling_interval 1
  max_polling_interval 1
}
"""
MAP = "/dev/mapper/mpatha"


class MultipathTest(unittest.TestCase):
    def setUp(self):
        scratch = environment.scratch()
        self.addCleanup(scratch.cleanup)
        directory = pathlib.Path(scratch.name)
        with open(directory / "disk.img", "wb") as file:
            file.truncate(128 * MIB)
        configuration = directory / "peerlane.toml"
        configuration.write_text(CONFIGURATION.format(target=TARGET))
        self.server = Server(config=configuration, luns=2, env={"STATE_DIRECTORY": str(directory / "state")})

    def test_paths(self):
        with self.server as server, Machine() as guest:
            self.guest = guest
            # Of paths; an error of the whole disk would name dm-0.
            guest.expect_in_kernel_log("detected conn error", "Asymmetric access state changed", "I/O error, dev sd",
                                       "rejecting I/O to offline device", "Failing path", "Reinstating path")
            direct, relayed = dict.fromkeys(parse_url(url)[1] for url in server.urls)
            with Relay(relayed) as relay:
                initiator = OpenIscsi(guest)
                guest.run(f"modprobe dm-multipath; cat > /etc/multipath.conf <<'END'\n{MULTIPATH}END\nmultipathd")
                first = initiator.log_in(TARGET, direct).disk()
                second = initiator.log_in(TARGET, relay.port).disk()
                self.names = [name.removeprefix("/dev/") for name in (first, second)]
                self.wait_for_paths("active", "active")
                self.check_topology()

                guest.run(f"mkfs.ext4 -q {MAP}; mkdir /mnt/disk; mount {MAP} /mnt/disk")
                self.load = Load(guest, "/mnt/disk/load")
                self.cut_and_restore(relay, first, second)
                self.change_states(first, second)
                self.assertGreater(self.load.finish(), 0)
                guest.run(f"umount /mnt/disk; e2fsck -fn {MAP}", 120)
                guest.wait_until("multipath -F")  # multipathd may just be looking at the map
                guest.run("multipathd shutdown")
                initiator.log_out_everywhere()

    def check_topology(self):
        text = self.guest.run("multipathd show topology")
        self.assertRegex(text, r"mpatha \(\w+\) dm-0 PEERLANE,DISK\n.*hwhandler='1 alua'")
        # Both are active/optimized: one group, with the priority that ALUA's state has.
        self.assertEqual(1, len(re.findall("prio=50 status=active", text)), text)

    def cut_and_restore(self, relay, first, second):
        self.load.wait_for_progress(second)
        relay.cut()
        self.wait_for_paths("active", "failed")
        self.load.wait_for_progress(first)
        relay.restore()
        self.wait_for_paths("active", "active")
        self.load.wait_for_progress(second)

    def change_states(self, first, second):
        """The target prefers one group of ports, then the other."""
        priorities = {"ao": 50, "an": 10, "s": 1}
        both = ("ao", "ao")
        for states, used in ((("ao", "an"), first), (("an", "ao"), second), (("ao", "s"), first), (both, second)):
            self.guest.run(f"sg_stpg --tp=1,2 --state={','.join(states)} {used}")
            self.wait_for_paths(*(f"[a-z]* {priorities[state]}" for state in states))
            self.load.wait_for_progress(used)

    def wait_for_paths(self, *states):
        """Waits until multipathd tells this of the paths: a regular expression over state and priority for each."""
        wanted = "".join(f"; echo \"$paths\" | grep -q '^{name} {state}'"
                         for name, state in zip(self.names, states))
        show = "paths=$(multipathd show paths raw format '%d %t %p'); echo \"$paths\""
        self.guest.wait_until(f"set -e; {show}{wanted}", 60)


if __name__ == "__main__":
    unittest.main()
