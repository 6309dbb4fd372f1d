#!/usr/bin/python3
"""Checks the form of the project's files: no tabs, no blanks at line ends, no line over 120 columns, nothing left
unfinished, and clang-format's opinion of the C++ ones where clang-format-19 is installed.

  tidy.py [ROOT]        ROOT is the project's directory; default: the one this file is in
"""

import pathlib
import re
import shutil
import subprocess
import sys

COLUMNS = 120
FOLDERS = ("src", "tests", "bench", "examples", "scripts", "cmake", "packaging", "docs")
SUFFIXES = {".h", ".cc", ".py", ".sh", ".cmake", ".txt", ".md", ".toml", ".service", ".socket", ".1", ""}
CPP = {".h", ".cc"}
# Spelled in pieces so that this file passes its own check.
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")


def is_ours(path):
    return path.is_file() and path.suffix in SUFFIXES and "corpus" not in path.parts and "__pycache__" not in path.parts


def check_text(name, text, is_prose):
    """Complaints about one file's text. Prose (Markdown) may have long lines: tables and links cannot be broken."""
    complaints = []
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{name}:{number}"
        if "\t" in line:
            complaints.append(f"{where}: a tab")
        if line != line.rstrip():
            complaints.append(f"{where}: blanks at the end of the line")
        if len(line) > COLUMNS and not is_prose:
            complaints.append(f"{where}: {len(line)} columns, {COLUMNS} is the most")
        complaints += [f"{where}: {word}" for word in UNFINISHED.findall(line)]
    if text and not text.endswith("\n"):
        complaints.append(f"{name}: no newline at the end of the file")
    return complaints


def check_format(root, paths):
    tool = shutil.which("clang-format-19")
    if not tool or not paths:
        return []
    # The paths are given relative to the root, so that the complaints are as well.
    names = [path.relative_to(root).as_posix() for path in paths]
    result = subprocess.run([tool, "--dry-run", "--Werror", *names], cwd=root, text=True, capture_output=True,
                            check=False)
    lines = [line for line in result.stderr.splitlines() if "error:" in line]
    files = sorted({line.split(":", 1)[0] for line in lines})
    return [f"{name}: not as clang-format-19 would have it; run: clang-format-19 -i {name}" for name in files]


def check(root):
    root = pathlib.Path(root)
    paths = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*")) if is_ours(path)]
    paths += [path for path in sorted(root.iterdir()) if is_ours(path) and path.name not in ("LICENSE", ".git")]
    complaints = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            complaints.append(f"{path.relative_to(root)}: not UTF-8 text")
            continue
        complaints += check_text(path.relative_to(root).as_posix(), text, path.suffix == ".md")
    return complaints + check_format(root, [path for path in paths if path.suffix in CPP])


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    complaints = check(root)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
