#!/usr/bin/python3
"""The manual page is well formed, and it, the help and docs/configuration.md name the same options."""

import os
import re
import shutil
import subprocess
import sys

import environment
import server

MANUAL = environment.ROOT / "docs" / "man" / "peerlane.1"
CONFIGURATION = environment.ROOT / "docs" / "configuration.md"

OPTION = re.compile(r"--[a-z][a-z-]*[a-z]")

# Options that have no key in the configuration file, with the reason.
WITHOUT_KEY = {
    "--config",   # names the file
    "--json",     # is about this run's standard output
    "--help",
}


def complaints_of_groff():
    if shutil.which("groff") is None:
        return []
    done = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8", str(MANUAL)], capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C.UTF-8"}, check=False)
    return done.stderr.splitlines()


def main():
    complaints = complaints_of_groff()
    offered = set(OPTION.findall(server.run("serve", "--help").stdout))
    manual = set(OPTION.findall(MANUAL.read_text(encoding="utf-8").replace("\\-", "-"))) - {"--version"}
    complaints += [f"{option} is offered by serve, but not in the manual" for option in sorted(offered - manual)]
    complaints += [f"{option} is in the manual, but serve does not have it" for option in sorted(manual - offered)]
    keys = set(OPTION.findall(CONFIGURATION.read_text(encoding="utf-8")))
    missing = offered - keys - WITHOUT_KEY
    complaints += [f"{option} has no key in docs/configuration.md" for option in sorted(missing)]
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
