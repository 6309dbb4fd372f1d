#!/usr/bin/python3
"""Tests of tidy.py."""

import pathlib
import shutil
import tempfile
import unittest

import tidy


class TidyTest(unittest.TestCase):
    def complaints(self, name, text):
        with tempfile.TemporaryDirectory() as root:
            path = pathlib.Path(root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            (pathlib.Path(root) / ".clang-format").write_text("BasedOnStyle: Google\nColumnLimit: 120\n")
            return tidy.check(root)

    def test_clean(self):
        self.assertEqual([], self.complaints("src/base/a.h", "#pragma once\n\nint f();\n"))

    def test_tab(self):
        self.assertEqual(["tests/a.py:1: a tab"], self.complaints("tests/a.py", "a =\t1\n"))

    def test_blank_at_line_end(self):
        self.assertIn("blanks at the end", self.complaints("docs/a.md", "text \n")[0])

    def test_long_line(self):
        self.assertEqual([], self.complaints("tests/a.py", "#" * 120 + "\n"))
        self.assertIn("121 columns", self.complaints("tests/a.py", "#" * 121 + "\n")[0])
        self.assertEqual([], self.complaints("docs/a.md", "|" * 500 + "\n"))

    def test_unfinished(self):
        self.assertEqual(1, len(self.complaints("scripts/a", "# " + "TO" + "DO later\n")))

    def test_no_newline_at_end(self):
        self.assertIn("no newline", self.complaints("tests/a.py", "a = 1")[0])

    def test_not_text(self):
        self.assertIn("not UTF-8", self.complaints("tests/a.py", b"\xff\xfe\n")[0])

    @unittest.skipUnless(shutil.which("clang-format-19"), "clang-format-19 is not installed")
    def test_format(self):
        found = self.complaints("src/base/a.cc", "int  f( ){return 1;}\n")
        self.assertEqual(1, len(found), found)
        self.assertIn("src/base/a.cc: not as clang-format-19 would have it", found[0])


if __name__ == "__main__":
    unittest.main()
