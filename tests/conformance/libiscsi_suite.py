#!/usr/bin/python3
"""Runs libiscsi's conformance tests against a disk of one kind, one process per suite; reads their reports strictly.

  libiscsi_suite.py KIND...           all suites that docs/conformance.md names for disks of this kind; several kinds at
                                      the same time
  libiscsi_suite.py KIND SUITE...     these suites, for example SCSI.Read10

docs/conformance.md is the one place that says which suites there are, how many tests each has, and which tests skip and
why. "passed" counts skipped tests too in libiscsi's summary: here a skipped test is a failure unless the document lists
it, and a listed one that is no longer skipped is a failure as well, so that the document stays true.
"""

import concurrent.futures
import fnmatch
import pathlib
import re
import sys

import environment
import tools
from server import Server

DOCUMENT = environment.ROOT / "docs" / "conformance.md"

# Kinds of disks: what is served, and with which options. Files are made anew.
KINDS = {
    "ram-512": ("ram:128M", ()),
    "ram-4096": ("ram:128M", ("--block-size", "4096")),
    "file-512": (None, ()),
    "file-4096": (None, ("--block-size", "4096")),
    "file-512e": (None, ("--physical-block-size", "4096")),
    "read-only": (None, ("--read-only",)),
}
FILE_BYTES = 128 << 20

# SANITIZE takes its time: its suite is run by itself, against all kinds at once.
SANITIZE = "SCSI.Sanitize"
SECONDS = {SANITIZE: 240}
DEFAULT_SECONDS = 120

# A test's name, what it says, and its outcome: on the same line, or at the beginning of a later one.
TEST = re.compile(r"^  Test: (\S+) \.\.\.(.*?)(?:(?<=\.\.\.)|^)(passed|FAILED)", re.MULTILINE | re.DOTALL)
SUMMARY = re.compile(r"^\s+tests\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", re.MULTILINE)


# --- What is expected ------------------------------------------------------------------------------------------------

def table(first_column):
    """The rows of the document's table whose first column has this heading."""
    rows, inside = [], False
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == first_column:
            inside = True
        elif inside and not set(cells[0]) <= {"-", ":"}:
            rows.append(cells)
    return rows


def kinds_of(cell):
    """The kinds that a cell names: separated by commas, "all", or with a * for any rest."""
    patterns = ["*"] if cell == "all" else [part.strip().strip("`") for part in cell.split(",")]
    return [kind for kind in KINDS if any(fnmatch.fnmatchcase(kind, pattern) for pattern in patterns)]


class Expected:
    """What docs/conformance.md says."""

    def __init__(self):
        # {suite: (number of tests, kinds)}
        self.suites = {row[0]: (int(row[1]), kinds_of(row[2])) for row in table("Suite")}
        # [(pattern of tests, kinds, what libiscsi says)]
        self.skips = [(row[0], kinds_of(row[1]), row[2]) for row in table("Skipped test")]

    def skip(self, test, kind):
        """What a test that is to skip says; None if it is not to skip."""
        for pattern, kinds, says in self.skips:
            if kind in kinds and fnmatch.fnmatchcase(test, pattern):
                return says
        return None


def listed_tests():
    """{suite: its tests' full names}, as libiscsi lists them, of the families SCSI and iSCSI."""
    suites = {}
    for name in tools.run("iscsi-test-cu", "--list").split():
        family, _, rest = name.partition(".")
        suite, _, test = rest.partition(".")
        if family in ("SCSI", "iSCSI") and test:
            suites.setdefault(f"{family}.{suite}", []).append(name)
    return suites


def complaints_of_document(expected, tests):
    """Where the document's list of suites differs from libiscsi's."""
    complaints = [f"docs/conformance.md does not list {suite}" for suite in tests if suite not in expected.suites]
    for suite, (count, kinds) in expected.suites.items():
        there = len(tests.get(suite, []))
        if there != count:
            complaints.append(f"docs/conformance.md gives {suite} {count} tests, libiscsi {there}")
        if not kinds:
            complaints.append(f"docs/conformance.md does not say on which disks {suite} is run")
    return complaints


# --- One run ---------------------------------------------------------------------------------------------------------

def parse(output):
    """{test: (outcome, what it said)}; outcome is "passed", "skipped" or "failed"."""
    results = {}
    for name, text, outcome in TEST.findall(output):
        skipped = outcome == "passed" and "[SKIPPED]" in text
        results[name] = ("skipped" if skipped else outcome.lower(), text)
    return results


def judge(suite, kind, wanted, expected, output, status):
    """Complaints about one run."""
    complaints = []
    results = parse(output)
    for test in wanted:
        outcome, text = results.get(test.rsplit(".", 1)[1], ("not run", ""))
        says = expected.skip(test, kind)
        if outcome == "skipped" and says is not None and says in text:
            continue
        if outcome == "passed" and says is None:
            continue
        wish = "passed" if says is None else f"skipped ({says})"
        complaints.append(f"{kind}: {test}: {outcome}, expected: {wish}")
    summary = SUMMARY.search(output)
    if not summary or int(summary.group(2)) != len(wanted) or int(summary.group(4)) != 0:
        complaints.append(f"{kind}: {suite}: its summary does not say that {len(wanted)} tests ran without failure")
    if status != 0:
        complaints.append(f"{kind}: {suite}: iscsi-test-cu ended with status {status}")
    return complaints


def run_suite(suite, kind, urls, wanted, expected):
    # The multipath suite takes two sessions to one logical unit, the others take the first URL only.
    used = urls[:2] if "Multipath" in suite else urls[:1]
    sanitize = ["--allow-sanitize"] if suite == SANITIZE else []
    done = tools.run("iscsi-test-cu", "--dataloss", *sanitize, "--fail", "--test", suite, *used,
                     timeout=SECONDS.get(suite, DEFAULT_SECONDS), check=False)
    complaints = judge(suite, kind, wanted, expected, done.stdout, done.returncode)
    if complaints:
        print(f"--- {kind}, {suite}:\n{done.stdout}")
    return complaints


def run_kind(kind, suites, tests, expected):
    disk, options = KINDS[kind]
    with environment.scratch() as directory:
        if disk is None:
            disk = pathlib.Path(directory) / "disk.img"
            with open(disk, "wb") as handle:
                handle.truncate(FILE_BYTES)
        state = ("--state", str(pathlib.Path(directory) / "state"))
        portals = ("127.0.0.1:0", "127.0.0.1:0")
        with Server(disk, options=(*options, *state), listen=portals) as server:
            return [complaint for suite in suites
                    for complaint in run_suite(suite, kind, server.urls, tests[suite], expected)]


def main():
    kinds = [argument for argument in sys.argv[1:] if argument in KINDS]
    suites = [argument for argument in sys.argv[1:] if argument not in KINDS]
    expected, tests = Expected(), listed_tests()
    complaints = complaints_of_document(expected, tests)
    complaints += [f"libiscsi has no suite {suite}" for suite in suites if suite not in tests]
    if not kinds or complaints:
        print("\n".join(complaints) or __doc__)
        return 1

    def chosen(kind):
        return suites or [suite for suite, (_, on) in expected.suites.items() if kind in on and suite != SANITIZE]

    with concurrent.futures.ThreadPoolExecutor(len(kinds)) as pool:
        runs = [pool.submit(run_kind, kind, chosen(kind), tests, expected) for kind in kinds]
        complaints = [complaint for run in runs for complaint in run.result()]
    print("\n".join(complaints))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
