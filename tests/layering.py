#!/usr/bin/python3
"""Reads the #includes of src/ and fails on an arrow against the rooms' order, on a circle, and on sloppy headers.

  layering.py [ROOT]        ROOT is the project's directory; default: the one this file is in
"""

import pathlib
import re
import sys

# Which rooms a room may use, besides itself. The order is that of docs/architecture.md.
ROOMS = {
    "base": set(),
    "io": {"base"},
    "scsi": {"base"},
    "iscsi": {"base"},
    "transport": {"base", "io", "iscsi"},
    "block": {"base", "io"},
    "pcie": {"base"},
    "copy": {"base", "io", "block", "pcie"},
    "target": {"base", "io", "scsi", "iscsi", "transport", "block", "pcie", "copy"},
    "initiator": {"base", "io", "scsi", "iscsi", "transport", "block"},
    "capi": {"base", "io", "iscsi", "block", "initiator"},
    "nbdkit": {"base", "io", "iscsi", "block", "initiator"},
    "attach": {"base", "io", "block"},
    "peers": {"base", "io", "scsi", "iscsi", "block", "pcie", "initiator", "target"},
}
ROOMS["admin"] = set(ROOMS)
ROOMS["cli"] = set(ROOMS)

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]*)"|<([^>]*)>)')
DEPENDS = re.compile(r"peerlane_room\(\s*(\w+)([^)]*)\)")
KEYWORDS = {"DEPENDS", "LIBRARIES"}


def includes(path):
    """The (line number, quoted or angle name, is it quoted) of each #include."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            found.append((number, match.group(1) or match.group(2), match.group(1) is not None))
    return found


def find_circle(graph):
    """One circle of a {node: set of nodes} graph as a list of nodes, first and last the same; None if there is none."""
    finished = set()
    for start in sorted(graph):
        if start in finished:
            continue
        path, on_path = [], set()
        stack = [(start, iter(sorted(graph.get(start, ()))))]
        path.append(start)
        on_path.add(start)
        while stack:
            node, successors = stack[-1]
            successor = next(successors, None)
            if successor is None:
                stack.pop()
                path.pop()
                on_path.discard(node)
                finished.add(node)
            elif successor in on_path:
                return path[path.index(successor):] + [successor]
            elif successor not in finished:
                stack.append((successor, iter(sorted(graph.get(successor, ())))))
                path.append(successor)
                on_path.add(successor)
    return None


def check_arrow(where, room, other):
    """The complaint about `room` using `other`; None if it may."""
    if other == room or other in ROOMS[room]:
        return None
    if {room, other} == {"target", "initiator"}:
        return f"{where}: target and initiator must not know each other"
    return f"{where}: {room} must not use {other}; it may use: {', '.join(sorted(ROOMS[room])) or 'nothing'}"


def check_file(source, path, room, room_graph, file_graph):
    """Complaints about one file; adds its arrows to both graphs."""
    complaints = []
    name = path.relative_to(source).as_posix()
    if path.suffix == ".h" and "#pragma once" not in path.read_text(encoding="utf-8", errors="replace").splitlines():
        complaints.append(f"src/{name}:1: no #pragma once")
    for number, target, quoted in includes(path):
        where = f"src/{name}:{number}"
        if ".." in pathlib.PurePosixPath(target).parts:
            complaints.append(f'{where}: "{target}": write the path from src/')
            continue
        other = target.split("/", 1)[0]
        if not quoted:
            if (source / other).is_dir() and "/" in target and (source / target).exists():
                complaints.append(f"{where}: <{target}> is ours: write it in quotes")
            continue
        if not (source / target).is_file():
            complaints.append(f'{where}: "{target}" does not exist below src/')
            continue
        complaint = check_arrow(where, room, other) if other in ROOMS else None
        if complaint:
            complaints.append(complaint)
        file_graph.setdefault(name, set()).add(target)
        if other != room:
            room_graph.setdefault(room, set()).add(other)
    return complaints


def check_cmake(path, room_graph):
    """Complaints about the DEPENDS of a room's CMakeLists.txt."""
    complaints = []
    for match in DEPENDS.finditer(path.read_text(encoding="utf-8")):
        room, words = match.group(1), match.group(2).split()
        keyword = None
        for word in words:
            if word in KEYWORDS:
                keyword = word
            elif keyword == "DEPENDS" and room in ROOMS:
                room_graph.setdefault(room, set()).add(word)
                complaint = check_arrow(f"src/{path.parent.name}/CMakeLists.txt", room, word)
                if complaint:
                    complaints.append(complaint)
    return complaints


def check(root):
    """All complaints about the tree below `root`/src."""
    source = pathlib.Path(root) / "src"
    complaints, room_graph, file_graph = [], {}, {}
    for directory in sorted(entry for entry in source.iterdir() if entry.is_dir()):
        room = directory.name
        if room not in ROOMS:
            complaints.append(f"src/{room}: there is no such room; they are: {', '.join(ROOMS)}")
            continue
        for path in sorted(directory.rglob("*")):
            if path.suffix in (".h", ".cc"):
                complaints += check_file(source, path, room, room_graph, file_graph)
            elif path.name == "CMakeLists.txt":
                complaints += check_cmake(path, room_graph)
    for graph, what in ((room_graph, "rooms"), (file_graph, "files")):
        circle = find_circle(graph)
        if circle:
            complaints.append(f"a circle of {what}: {' -> '.join(circle)}")
    return complaints


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    complaints = check(root)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
