#!/usr/bin/python3
"""libiscsi's command line tools find the target, log in in every way, and use its disks."""

import re
import unittest

import environment
import tools
from server import Server

USER, SECRET = "alice", "alice's secret"
TARGET_USER, TARGET_SECRET = "the-target", "the target's secret"
CHAP = ("--chap-user", USER, "--chap-secret-env", "TEST_SECRET")
MUTUAL = ("--mutual-user", TARGET_USER, "--mutual-secret-env", "TEST_MUTUAL_SECRET")
SERVER_ENVIRONMENT = {"TEST_SECRET": SECRET, "TEST_MUTUAL_SECRET": TARGET_SECRET}

# What libiscsi takes from the environment, so that nothing is on a command line.
CLIENT_ENVIRONMENT = {"LIBISCSI_CHAP_USERNAME": USER, "LIBISCSI_CHAP_PASSWORD": SECRET}
MUTUAL_ENVIRONMENT = {**CLIENT_ENVIRONMENT, "LIBISCSI_CHAP_TARGET_USERNAME": TARGET_USER,
                      "LIBISCSI_CHAP_TARGET_PASSWORD": TARGET_SECRET}


def capacity(url, **arguments):
    """(last LBA, block size) as iscsi-readcapacity16 says."""
    output = tools.run("iscsi-readcapacity16", url, **arguments)
    last = int(re.search(r"RETURNED LOGICAL BLOCK ADDRESS:(\d+)", output).group(1))
    size = int(re.search(r"LOGICAL BLOCK LENGTH IN BYTES:(\d+)", output).group(1))
    return last, size


class DiscoveryTest(unittest.TestCase):
    def test_ls_finds_target_and_luns(self):
        with Server("ram:64M", "ram:1G", options=("--target-name", "iqn.2026-11.test:disks")) as server:
            output = tools.run("iscsi-ls", "-s", server.portal_url)
            host, port = server.address
            self.assertIn(f"Target:iqn.2026-11.test:disks Portal:{host}:{port},1", output)
            self.assertRegex(output, r"Lun:0\s+Type:DIRECT_ACCESS \(Size:6[34]M\)")
            self.assertRegex(output, r"Lun:1\s+Type:DIRECT_ACCESS \(Size:\d+[MG]\)")

    def test_ls_through_a_second_portal(self):
        with Server("ram:16M", listen=("127.0.0.1:0", "127.0.0.1:0")) as server:
            ports = {url.split("/")[2] for url in server.urls}
            self.assertEqual(2, len(ports))
            for port in ports:
                self.assertIn(server.target, tools.run("iscsi-ls", f"iscsi://{port}"))

    @unittest.skipUnless(environment.has_ipv6(), "no IPv6 loopback here")
    def test_ipv6(self):
        with Server("ram:16M", listen=("[::1]:0",)) as server:
            self.assertIn("iscsi://[::1]:", server.url)
            output = tools.run("iscsi-ls", "-s", server.portal_url)
            self.assertIn(f"Target:{server.target} Portal:[::1]:{server.address[1]},1", output)
            self.assertEqual((32767, 512), capacity(server.url))

    def test_unknown_target_is_refused_and_the_log_says_why(self):
        with Server("ram:16M") as server:
            url = server.portal_url + "/iqn.2026-11.test:nothing/0"
            done = tools.run("iscsi-inq", url, check=False)
            self.assertNotEqual(0, done.returncode)
            server.wait_for_log(r"iqn\.2026-11\.test:nothing")

    def test_initiators_not_on_the_list_are_refused(self):
        with Server("ram:16M", options=("--allow-initiator", "iqn.2026-11.test:friend-*")) as server:
            done = tools.run("iscsi-inq", "-i", "iqn.2026-11.test:foe", server.url, check=False)
            self.assertNotEqual(0, done.returncode)
            server.wait_for_log(r"iqn\.2026-11\.test:foe")
            tools.run("iscsi-inq", "-i", "iqn.2026-11.test:friend-1", server.url)
            # A target that one may not use is not shown either.
            self.assertNotIn(server.target, tools.run("iscsi-ls", "-i", "iqn.2026-11.test:foe", server.portal_url))
            self.assertIn(server.target, tools.run("iscsi-ls", "-i", "iqn.2026-11.test:friend-1", server.portal_url))


class InquiryTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("ram:64M", options=("--target-name", "iqn.2026-11.test:inq")).start()
        cls.addClassCleanup(cls.server.stop)

    def inquire(self, page=None):
        return tools.run("iscsi-inq", *(("-e", "1", "-c", str(page)) if page is not None else ()), self.server.url)

    def test_standard(self):
        output = self.inquire()
        self.assertIn("Peripheral Qualifier:CONNECTED", output)
        self.assertIn("Peripheral Device Type:DIRECT_ACCESS", output)
        self.assertRegex(output, r"Vendor:PEERLANE\n")
        self.assertIn("CmdQue:1", output)

    def test_supported_pages(self):
        output = self.inquire(0x00)
        for page in (0x00, 0x80, 0x83, 0xB0, 0xB1, 0xB2):
            self.assertRegex(output, rf"Page:0x{page:02x} ")

    def test_serial_number(self):
        first = self.inquire(0x80)
        self.assertRegex(first, r"Unit Serial Number:\[\S+.*\]")
        self.assertEqual(first, self.inquire(0x80))

    def test_identification(self):
        output = self.inquire(0x83)
        self.assertIn("Designator Type:(3) NAA", output)

    def test_block_limits(self):
        output = self.inquire(0xB0)
        self.assertRegex(output, r"maximum transfer length:[1-9]")
        self.assertRegex(output, r"maximum unmap lba count:[1-9]")

    def test_provisioning(self):
        output = self.inquire(0xB2)
        for claim in ("lbpu:1", "lbpws:1", "lbprz:1"):
            self.assertIn(claim, output)

    def test_unknown_page_is_refused(self):
        done = tools.run("iscsi-inq", "-e", "1", "-c", str(0xC7), self.server.url, check=False)
        self.assertNotEqual(0, done.returncode)


class ToolsTest(unittest.TestCase):
    def test_capacity(self):
        for options, expected in (((), (131071, 512)), (("--block-size", "4096"), (16383, 4096))):
            with self.subTest(options=options), Server("ram:64M", options=options) as server:
                self.assertEqual(expected, capacity(server.url))

    def test_swp_reads_and_refuses_politely(self):
        with Server("ram:16M") as server:
            self.assertIn("SWP:0", tools.run("iscsi-swp", server.url))

    def test_perf(self):
        with Server("ram:16M") as server:
            done = tools.run("iscsi-perf", "-b", "8", "-m", "16", "-t", "2", "-r", server.url, timeout=30)
            self.assertIn("iops", done.lower())

    def test_header_digest(self):
        with Server("ram:16M") as server:
            self.assertEqual((32767, 512), capacity(server.url + "?header_digest=crc32c"))
            tools.run("iscsi-perf", "-b", "128", "-m", "4", "-t", "1", server.url + "?header_digest=crc32c")


class ChapTest(unittest.TestCase):
    def server(self, *more):
        return Server("ram:16M", options=(*CHAP, *more), env=SERVER_ENVIRONMENT)

    def test_one_way(self):
        with self.server() as server:
            tools.run("iscsi-inq", server.url, env=CLIENT_ENVIRONMENT)
            self.assertIn(server.target, tools.run("iscsi-ls", server.portal_url, env=CLIENT_ENVIRONMENT))

    def test_mutual(self):
        with self.server(*MUTUAL) as server:
            tools.run("iscsi-inq", server.url, env=MUTUAL_ENVIRONMENT)
            wrong = {**MUTUAL_ENVIRONMENT, "LIBISCSI_CHAP_TARGET_PASSWORD": "another secret"}
            self.assertNotEqual(0, tools.run("iscsi-inq", server.url, env=wrong, check=False).returncode)

    def test_refused_without_account_wrong_name_wrong_secret(self):
        with self.server() as server:
            for env in ({}, {**CLIENT_ENVIRONMENT, "LIBISCSI_CHAP_USERNAME": "mallory"},
                        {**CLIENT_ENVIRONMENT, "LIBISCSI_CHAP_PASSWORD": "not the secret"}):
                with self.subTest(env=env):
                    self.assertNotEqual(0, tools.run("iscsi-inq", server.url, env=env, check=False).returncode)
                    self.assertNotEqual(0, tools.run("iscsi-ls", server.portal_url, env=env, check=False).returncode)
            self.assertNotIn(SECRET, server.log())
            tools.run("iscsi-inq", server.url, env=CLIENT_ENVIRONMENT)


if __name__ == "__main__":
    unittest.main()
