#!/usr/bin/python3
"""Runs one suite of libiscsi's conformance tests against a LUN of each kind, and reads its report strictly.

  libiscsi_suite.py SUITE        for example SCSI.Read10

"passed" counts skipped tests too in libiscsi's summary: here a skipped test is a failure unless SKIPS lists it with its
reason, and a listed one that is no longer skipped is a failure as well, so that the list stays true.
"""

import pathlib
import re
import sys

import environment
import tools
from server import Server

# Test -> what its message must contain: the tests that may skip, each for a reason. None at present.
SKIPS = {}

# Suites whose commands are of 512 bytes whatever the block size, so that a part of a block would have to be written.
BLOCKS_OF_512_ONLY = {"SCSI.ProutReserve"}

# A test's name, what it says, and its outcome: on the same line, or at the beginning of a later one.
TEST = re.compile(r"^  Test: (\S+) \.\.\.(.*?)(?:(?<=\.\.\.)|^)(passed|FAILED)", re.MULTILINE | re.DOTALL)
SUMMARY = re.compile(r"^\s+tests\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", re.MULTILINE)


def suite_tests(suite):
    """The names of a suite's tests, as libiscsi lists them."""
    listed = tools.run("iscsi-test-cu", "--list").split()
    return [name for name in listed if name.startswith(suite + ".")]


def parse(output):
    """{test: (outcome, what it said)}; outcome is "passed", "skipped" or "failed"."""
    results = {}
    for name, text, outcome in TEST.findall(output):
        skipped = outcome == "passed" and "[SKIPPED]" in text
        results[name] = ("skipped" if skipped else outcome.lower(), text)
    return results


def judge(suite, wanted, output, status):
    """Complaints about one run."""
    complaints = []
    results = parse(output)
    for test in wanted:
        outcome, text = results.get(test.rsplit(".", 1)[1], ("not run", ""))
        allowed = SKIPS.get(test)
        if outcome == "skipped" and allowed is not None and allowed in text:
            continue
        if outcome == "passed" and allowed is None:
            continue
        expected = "passed" if allowed is None else f"skipped ({allowed})"
        complaints.append(f"{test}: {outcome}, expected: {expected}")
    summary = SUMMARY.search(output)
    if not summary or int(summary.group(2)) != len(wanted) or int(summary.group(4)) != 0:
        complaints.append(f"{suite}: its summary does not say that {len(wanted)} tests ran without failure")
    if status != 0:
        complaints.append(f"{suite}: iscsi-test-cu ended with status {status}")
    return complaints


def run_on(kind, suite, wanted, disk, options):
    with Server(disk, options=options) as server:
        done = tools.run("iscsi-test-cu", "--dataloss", "--fail", "--test", suite, server.url, timeout=120, check=False)
        complaints = judge(suite, wanted, done.stdout, done.returncode)
    if complaints:
        print(f"--- {kind}:\n{done.stdout}")
    return [f"{kind}: {complaint}" for complaint in complaints]


def main():
    suite = sys.argv[1]
    wanted = suite_tests(suite)
    if not wanted:
        print(f"libiscsi has no suite {suite}")
        return 1
    complaints = []
    with environment.scratch() as directory:
        file = pathlib.Path(directory) / "disk.img"
        for kind, disk, options in (("RAM, blocks of 512 bytes", "ram:128M", ()),
                                    ("file, blocks of 512 bytes", file, ()),
                                    ("file, blocks of 4096 bytes", file, ("--block-size", "4096"))):
            if suite in BLOCKS_OF_512_ONLY and "4096" in options:
                continue
            with open(file, "wb") as handle:
                handle.truncate(128 << 20)
            complaints += run_on(kind, suite, wanted, disk, options)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
