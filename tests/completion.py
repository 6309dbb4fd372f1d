#!/usr/bin/python3
"""Completion in bash offers what the help of each command says: all commands, options, and values."""

import os
import pathlib
import re
import subprocess
import unittest

import environment
import server

SCRIPT = environment.ROOT / "packaging" / "completion" / "peerlane.bash"
# As bash calls it: the words, which of them is being written, and the three arguments.
ASK = """source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_peerlane "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}" """

ROW = re.compile(r"^  (?:(-[a-z]),)?(--[a-z-]+)(?: ([^ \n]+))?", re.MULTILINE)


def help_of(*command):
    return server.run(*command, "--help").stdout


def offered(*words, directory=None):
    """What is offered when the last of `words` is being written."""
    done = subprocess.run(["bash", "--norc", "-c", ASK, "ask", str(SCRIPT), environment.peerlane(), *words],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=environment.seconds(20),
                          cwd=directory, check=False)
    if done.stderr:
        raise AssertionError(f"{words}: {done.stderr}")
    return set(done.stdout.split())


class CompletionTest(unittest.TestCase):
    def setUp(self):
        text = help_of()
        self.commands = re.findall(r"^  ([a-z]+) ", text[text.index("\nSubcommands:"):], re.MULTILINE)

    def test_commands(self):
        self.assertIn("serve", self.commands)
        self.assertEqual(offered(""), set(self.commands))
        self.assertEqual(offered("at"), {"attach"})
        self.assertEqual(offered("--"), {"--help", "--version"})

    def test_options_of_each_command(self):
        for command in self.commands:
            with self.subTest(command):
                rows = ROW.findall(help_of(command))
                self.assertEqual(offered(command, "--"), {long for _, long, _ in rows})
                self.assertEqual(offered(command, "-"), {name for row in rows for name in row[:2] if name})

    def test_values_of_each_option(self):
        chosen = 0
        for command in self.commands:
            for short, option, value in ROW.findall(help_of(command)):
                if "|" not in value:
                    continue
                chosen += 1
                expected = set(value.split("|"))
                with self.subTest(f"{command} {option}"):
                    self.assertEqual(offered(command, option, ""), expected)
                    self.assertEqual(offered(command, option, "="), expected)
                    self.assertEqual(offered(command, option, "=", sorted(expected)[0]),
                                     {each for each in expected if each.startswith(sorted(expected)[0])})
                    if short:
                        self.assertEqual(offered(command, short, ""), expected)
        self.assertGreater(chosen, 5)

    def test_files(self):
        with environment.scratch() as directory:
            for name in ("disk.img", "other"):
                (pathlib.Path(directory) / name).touch()
            os.mkdir(os.path.join(directory, "directory"))
            for words in (("serve", "di"), ("copy", "--verify", "di"), ("copy", "other", "di"),
                          ("serve", "--config", "di")):
                self.assertEqual(offered(*words, directory=directory), {"disk.img", "directory"})
            self.assertEqual(offered("serve", "--state", "di", directory=directory), {"directory"})
            self.assertEqual(offered("discover", "di", directory=directory), set())
            self.assertEqual(offered("bench", "--depth", "di", directory=directory), set())

    def test_actions(self):
        refused = server.run("pr", "iscsi://127.0.0.1/iqn.2026-11.dev.peerlane:x/0", "no-such-action").stderr
        known = set(re.search(r"\{(.*)\}", refused)[1].split(","))
        self.assertIn("read-keys", known)
        url = ("iscsi", ":", "//127.0.0.1/iqn.2026-11.dev.peerlane", ":", "x/0")  # words as bash has them
        self.assertEqual(offered("pr", *url, ""), known)
        self.assertEqual(offered("pr", *url, "reg"), {"register", "register-ignore"})


if __name__ == "__main__":
    unittest.main()
