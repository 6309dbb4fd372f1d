#!/usr/bin/python3
"""Others build with Peerlane's initiator: it is installed into a directory of its own, the examples are built
with CMake and with pkg-config, and they use LUNs of a server.

  package_test.py BUILD_DIRECTORY [unittest's arguments]
"""

import os
import pathlib
import re
import subprocess
import sys
import unittest

import environment
import tools
from server import Server

BUILD = pathlib.Path(sys.argv.pop(1))
EXAMPLES = environment.ROOT / "examples"
MIB = 1 << 20
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")


def command(*arguments, timeout=300, env=None):
    """Runs a command to its end; its output."""
    done = subprocess.run(list(map(str, arguments)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=environment.seconds(timeout),
                          env={**os.environ, **(env or {})}, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{arguments} ended with status {done.returncode}:\n{done.stdout}")
    return done.stdout


class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = environment.scratch()
        cls.addClassCleanup(cls.directory.cleanup)
        cls.work = pathlib.Path(cls.directory.name)
        cls.prefix = cls.work / "prefix"
        command("cmake", "--install", BUILD, "--prefix", cls.prefix, "--component", "development")
        cls.library = next(cls.prefix.rglob("libpeerlane.so")).parent

    def test_cmake_package(self):
        build = self.work / "cmake"
        command("cmake", "-S", EXAMPLES, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}",
                "-DCMAKE_C_FLAGS=-std=c11 " + " ".join(STRICT))
        command("cmake", "--build", build, "-j", "1", timeout=600)
        with Server("ram:8M") as server:
            told = command(build / "scratch", server.url)
            self.assertIn(f"size {8 * MIB}\n", told)
            self.assertIn("discards yes\n", told)
            self.assertIn(f"extent 0+{8 * MIB} free\n", told)
            self.assertIn("well", command(build / "coroutines", server.url))
            # Seven of the eight pieces of 64 KiB that it has written are not zero.
            self.assertIn(f"not zero {7 * 65536}\n", command(build / "threads", server.url))
            failed = subprocess.run([build / "scratch", server.url[:-1] + "9"], capture_output=True, text=True,
                                    timeout=60, check=False)
            self.assertEqual(1, failed.returncode)
            self.assertIn("no such logical unit", failed.stderr)

    def test_pkg_config(self):
        env = {"PKG_CONFIG_PATH": str(self.library / "pkgconfig")}
        program = self.work / "scratch"
        flags = command("pkg-config", "--cflags", "--libs", "peerlane", env=env).split()
        self.assertIn(f"-I{self.prefix}/include", flags)
        command("cc", "-std=c11", *STRICT, EXAMPLES / "scratch.c", "-o", program, *flags)
        with Server("ram:8M") as server:
            self.assertIn("size", command(program, server.url, env={"LD_LIBRARY_PATH": str(self.library)}))

    def test_pkg_config_for_cpp(self):
        env = {"PKG_CONFIG_PATH": str(self.library / "pkgconfig")}
        program = self.work / "threads"
        flags = command("pkg-config", "--cflags", "--libs", "peerlane-initiator", env=env).split()
        command("g++", "-std=c++23", "-O1", EXAMPLES / "threads.cc", "-o", program, *flags)
        with Server("ram:8M") as server:
            self.assertEqual("not zero 0\n", command(program, server.url))

    def test_the_header_is_good_in_c_and_cpp(self):
        include = f"-I{self.prefix}/include"
        for compiler, language in (("cc", "c11"), ("cc", "c17"), ("g++", "c++11"), ("g++", "c++23")):
            source = self.work / f"header.{'c' if compiler == 'cc' else 'cc'}"
            source.write_text("#include <peerlane/peerlane.h>\n"
                              "peerlane_options options = PEERLANE_OPTIONS_INIT;\n")
            command(compiler, f"-std={language}", *STRICT, "-Wno-missing-field-initializers", include, "-fsyntax-only",
                    source)

    def test_only_the_interface_is_exported(self):
        header = (self.prefix / "include/peerlane/peerlane.h").read_text()
        declared = set(re.findall(r"\b(peerlane_\w+)\(", re.sub(r"/\*.*?\*/", "", header, flags=re.S)))
        self.assertIn("peerlane_open", declared)
        symbols = tools.run("nm", "-D", "--defined-only", self.library / "libpeerlane.so")
        exported = {line.split()[-1].split("@")[0] for line in symbols.splitlines() if " A " not in line}
        self.assertEqual(declared, exported)


if __name__ == "__main__":
    unittest.main()
