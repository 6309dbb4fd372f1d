#!/usr/bin/python3
"""sg3_utils reads our INQUIRY data, vital product data and log pages as they are meant, without a complaint."""

import pathlib
import unittest

import environment
import tools
from initiator import connect
from server import Server

COMPLAINTS = ("malformed", "truncated", "too short", "expected", "unexpected", "invalid", "unknown", "bad ")


class DecodeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = environment.scratch()
        cls.disk = pathlib.Path(cls.directory.name) / "disk"
        with open(cls.disk, "wb") as file:
            file.truncate(64 << 20)
        cls.server = Server(cls.disk).start()
        cls.session = connect(cls.server)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.directory.cleanup()

    def decode(self, tool, data, *arguments):
        path = pathlib.Path(self.directory.name) / "answer"
        path.write_text(data.hex(" "))
        option = "--in" if tool == "sg_logs" else "--inhex"
        output = tools.run(tool, f"{option}={path}", *arguments)
        for complaint in COMPLAINTS:
            self.assertNotIn(complaint, output.lower())
        return output

    def inquiry(self, page=None):
        cdb = bytes([0x12, page is not None, page or 0, 0x10, 0, 0])
        return self.session.check(cdb, read_length=4096).data

    def vpd(self, page):
        return self.decode("sg_vpd", self.inquiry(page), f"--page={page:#x}")

    def log(self, page, subpage=0):
        data = self.session.check(bytes([0x4D, 0, 0x40 | page, subpage, 0, 0, 0, 0x10, 0, 0]), read_length=4096).data
        return self.decode("sg_logs", data)

    def test_standard_inquiry(self):
        output = self.decode("sg_inq", self.inquiry())
        for word in ("NormACA=1", "HiSUP=1", "TPGS=3", "CmdQue=1", "RMB=0", "PEERLANE"):
            self.assertIn(word, output)

    def test_every_page_is_known_to_it(self):
        pages = self.inquiry(0)[4:]
        self.assertEqual(list(pages), sorted(pages))
        self.assertLessEqual({0x00, 0x80, 0x83, 0x86, 0x87, 0x88, 0xB0, 0xB1, 0xB2}, set(pages))
        for page in pages:
            with self.subTest(f"{page:02x}h"):
                self.vpd(page)

    def test_device_identification(self):
        output = self.vpd(0x83)
        for word in ("Relative target port: 0x1", "Target port group: 0x1", "designator type: NAA",
                     f"{self.server.target},t,0x0001"):
            self.assertIn(word, output)

    def test_extended_inquiry(self):
        output = self.vpd(0x86)
        for word in ("HEADSUP=1", "ORDSUP=1", "SIMPSUP=1", "V_SUP=1", "LUICLR=1", "data length=252"):
            self.assertIn(word, output)

    def test_policy_and_ports(self):
        self.assertRegex(self.vpd(0x87), r"(?i)shared")
        self.assertIn(f"{self.server.target},t,0x0001", self.vpd(0x88))

    def test_log_pages(self):
        listed = self.log(0x00, 0xFF)
        for word in ("0x0c", "0x19", "0x2f"):
            self.assertIn(word, listed)
        self.session.read(0, 8)
        self.session.write(0, bytes(512 * 3))
        statistics = self.log(0x19)
        self.assertRegex(statistics, r"number of read commands = [1-9]")
        self.assertRegex(statistics, r"number of logical blocks received = 3\b")
        self.assertIn("Used LBA mapping", self.log(0x0C))
        self.assertIn("IE asc = 0x0, ascq = 0x0", self.log(0x2F))


if __name__ == "__main__":
    unittest.main()
