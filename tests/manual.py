#!/usr/bin/python3
"""The manual pages are well formed, and they, the help and docs/configuration.md name the same options."""

import os
import re
import shutil
import subprocess
import sys

import environment
import server

MANUAL = environment.ROOT / "docs" / "man"
CONFIGURATION = environment.ROOT / "docs" / "configuration.md"

OPTION = re.compile(r"--[a-z][a-z-]*[a-z]")

# Which commands' options a page has.
PAGES = {"peerlane.1": "serve",
         **{f"peerlane-{name}.1": name
            for name in ("attach", "bench", "copy", "detach", "discover", "info", "pr", "sg", "topology", "unmap")}}

# Pages of what is no command of peerlane: they have no options of their own.
OTHERS = {"nbdkit-peerlane-plugin.1"}

# Options of serve that have no key in the configuration file, with the reason.
WITHOUT_KEY = {
    "--config",   # names the file
    "--json",     # is about this run's standard output
    "--help",
}


def complaints_of_groff(page):
    if shutil.which("groff") is None:
        return []
    done = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8", str(page)], capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C.UTF-8"}, check=False)
    return done.stderr.splitlines()


def offered_by(command):
    return set(OPTION.findall(server.run(command, "--help").stdout)) - {"--help"}


def complaints_about(page, command):
    text = (MANUAL / page).read_text(encoding="utf-8").replace("\\-", "-")
    offered, named = offered_by(command), set(OPTION.findall(text)) - {"--version", "--help"}
    complaints = complaints_of_groff(MANUAL / page)
    complaints += [f"{option} is offered by {command}, but not in {page}" for option in sorted(offered - named)]
    complaints += [f"{option} is in {page}, but {command} does not have it" for option in sorted(named - offered)]
    return complaints


def main():
    complaints = [complaint for page, command in PAGES.items() for complaint in complaints_about(page, command)]
    for page in sorted(OTHERS):
        complaints += complaints_of_groff(MANUAL / page)
    pages = {page.name for page in MANUAL.iterdir()}
    complaints += [f"{page} is not checked against any command" for page in sorted(pages - set(PAGES) - OTHERS)]
    keys = set(OPTION.findall(CONFIGURATION.read_text(encoding="utf-8")))
    missing = offered_by("serve") - keys - WITHOUT_KEY
    complaints += [f"{option} has no key in docs/configuration.md" for option in sorted(missing)]
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
