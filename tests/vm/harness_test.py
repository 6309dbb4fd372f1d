#!/usr/bin/python3
"""The virtual machine itself: what goes wrong in it is a failed test."""

import contextlib
import io
import unittest

from machine import GuestError, Machine


class HarnessTest(unittest.TestCase):
    def setUp(self):
        # Consoles of guests that are meant to fail would only confuse.
        quiet = contextlib.redirect_stderr(io.StringIO())
        quiet.__enter__()
        self.addCleanup(quiet.__exit__, None, None, None)

    def test_scripts_and_the_kernel_log(self):
        with Machine() as guest:
            self.assertEqual("out\nerr\n", guest.run("echo out; echo err >&2"))
            self.assertEqual((3, "before\n"), guest.run("echo before; (exit 3); echo after", check=False))
            with self.assertRaisesRegex(GuestError, "(?s)status 3 of: .*why"):
                guest.run("echo why; exit 3")
            long = guest.run("seq 100000")
            self.assertEqual("100000", long.split()[-1])

            job = guest.start('echo begun; sleep 1; echo "it\'s done"; exit 4')
            self.assertFalse(guest.finished(job))
            self.assertEqual((4, "begun\nit's done\n"), guest.finish(job, check=False))
            self.assertTrue(guest.finished(job))

            self.assertEqual([], guest.complaints())
            guest.run("mount -t tmpfs -o size=nonsense none /mnt || true")
            self.assertRegex(" ".join(guest.complaints()), "Bad value for 'size'")
            with self.assertRaisesRegex(GuestError, "(?s)kernel complains.*Bad value"):
                guest.check_kernel_log()
            guest.expect_in_kernel_log("tmpfs: Bad value")
            guest.check_kernel_log()

            with self.assertRaisesRegex(GuestError, "within 0.5 s"):
                guest.run("sleep 5", timeout=0.5)
            guest.kill()
            with self.assertRaisesRegex(GuestError, "ended"):
                guest.run("true")
            guest.check_kernel_log = guest.power_off = lambda: None

    def test_a_kernel_that_dies(self):
        with self.assertRaisesRegex(GuestError, "ended"):
            with Machine(network=False) as guest:
                guest.run("echo c > /proc/sysrq-trigger")
        self.assertIn("Kernel panic", "".join(guest.console))

    def test_time_limit(self):
        with self.assertRaisesRegex(GuestError, "ended|come up"):
            with Machine(network=False, limit=4) as guest:
                guest.run("sleep 60")


if __name__ == "__main__":
    unittest.main()
