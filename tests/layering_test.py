#!/usr/bin/python3
"""Tests of layering.py: a small tree for each rule, with and without a violation."""

import pathlib
import tempfile
import unittest

import layering


class LayeringTest(unittest.TestCase):
    def complaints(self, files):
        with tempfile.TemporaryDirectory() as root:
            for name, text in files.items():
                path = pathlib.Path(root) / "src" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return layering.check(root)

    def test_clean_tree(self):
        self.assertEqual([], self.complaints({
            "base/a.h": "#pragma once\n#include <vector>\n",
            "io/b.h": '#pragma once\n#include "base/a.h"\n',
            "io/b.cc": '#include "io/b.h"\n\n#include <sys/uio.h>\n',
            "io/CMakeLists.txt": "peerlane_room(io DEPENDS base LIBRARIES Threads::Threads)\n",
        }))

    def test_arrow_upwards(self):
        found = self.complaints({"base/a.h": '#pragma once\n#include "io/b.h"\n', "io/b.h": "#pragma once\n"})
        self.assertEqual(1, len(found), found)
        self.assertIn("src/base/a.h:2: base must not use io", found[0])

    def test_arrow_sideways(self):
        found = self.complaints({"scsi/a.h": '#pragma once\n# include "iscsi/b.h"\n', "iscsi/b.h": "#pragma once\n"})
        self.assertIn("scsi must not use iscsi", found[0])

    def test_target_and_initiator(self):
        for one, other in (("target", "initiator"), ("initiator", "target")):
            found = self.complaints({f"{one}/a.h": f'#pragma once\n#include "{other}/b.h"\n',
                                     f"{other}/b.h": "#pragma once\n"})
            self.assertIn("must not know each other", found[0])

    def test_arrow_in_cmake(self):
        found = self.complaints({"scsi/a.h": "#pragma once\n",
                                 "scsi/CMakeLists.txt": "peerlane_room(scsi\n  DEPENDS base target)\n"})
        self.assertIn("src/scsi/CMakeLists.txt: scsi must not use target", found[0])

    def test_libraries_are_not_rooms(self):
        room = "peerlane_room(scsi DEPENDS base LIBRARIES target)\n"
        self.assertEqual([], self.complaints({"scsi/CMakeLists.txt": room}))

    def test_circle_of_rooms(self):
        found = self.complaints({"base/a.h": '#pragma once\n#include "io/b.h"\n',
                                 "io/c.h": '#pragma once\n#include "base/d.h"\n',
                                 "io/b.h": "#pragma once\n", "base/d.h": "#pragma once\n"})
        self.assertTrue(any("circle of rooms: base -> io -> base" in line for line in found), found)

    def test_circle_of_headers(self):
        found = self.complaints({"base/a.h": '#pragma once\n#include "base/b.h"\n',
                                 "base/b.h": '#pragma once\n#include "base/c.h"\n',
                                 "base/c.h": '#pragma once\n#include "base/a.h"\n'})
        self.assertEqual(["a circle of files: base/a.h -> base/b.h -> base/c.h -> base/a.h"], found)

    def test_shared_header_is_no_circle(self):
        self.assertEqual([], self.complaints({"base/a.h": '#pragma once\n#include "base/b.h"\n#include "base/c.h"\n',
                                              "base/b.h": '#pragma once\n#include "base/c.h"\n',
                                              "base/c.h": "#pragma once\n"}))

    def test_unknown_room(self):
        self.assertIn("there is no such room", self.complaints({"misc/a.h": "#pragma once\n"})[0])

    def test_no_pragma_once(self):
        found = self.complaints({"base/a.h": "// #pragma once is missing\n"})
        self.assertEqual(["src/base/a.h:1: no #pragma once"], found)

    def test_parent_directory(self):
        found = self.complaints({"io/a.h": '#pragma once\n#include "../base/b.h"\n', "base/b.h": "#pragma once\n"})
        self.assertIn("write the path from src/", found[0])

    def test_header_that_does_not_exist(self):
        found = self.complaints({"io/a.cc": '#include "b.h"\n', "io/b.h": "#pragma once\n"})
        self.assertIn('"b.h" does not exist below src/', found[0])

    def test_own_header_in_angle_brackets(self):
        found = self.complaints({"io/a.cc": "#include <base/b.h>\n", "base/b.h": "#pragma once\n"})
        self.assertIn("write it in quotes", found[0])


if __name__ == "__main__":
    unittest.main()
