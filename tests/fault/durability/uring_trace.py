"""What uring_trace.cc has noted, and what a disk would hold if the power had gone at the end of the notes."""

import collections
import os
import struct

HEAD = struct.Struct("=cQqQ")

Note = collections.namedtuple("Note", "what id number length dsync data")


def environment_for(library, log, disk):
    """The variables that have a server trace itself."""
    return {"LD_PRELOAD": str(library), "URING_TRACE_LOG": str(log), "URING_TRACE_DISK": str(disk),
            # The library is not the first one then, as AddressSanitizer would like to be.
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}


def read(path):
    """All notes, in order. One that the crash has cut off is no longer of interest."""
    data, notes, at = path.read_bytes(), [], 0
    while at + HEAD.size <= len(data):
        what, one, two, three = HEAD.unpack_from(data, at)
        at += HEAD.size
        what = what.decode()
        size = three & 0xFFFFFFFF if what in "WYR" else 0
        notes.append(Note(what, one, two, three & 0xFFFFFFFF, bool(three >> 32), data[at:at + size]))
        at += size
    return notes


def durable_image(image, notes):
    """Does to `image` (a bytearray) what is certain to be on the disk: writes that were made durable by themselves, and
    those that had completed before an fsync was submitted which has completed. Everything else is lost, which is the
    worst that a loss of power can do to a disk that keeps its word."""
    writes, fsyncs, completed, durable = {}, {}, [], set()
    for note in notes:
        if note.what == "W":
            writes[note.id] = note
        elif note.what == "F":
            fsyncs[note.id] = len(completed)
        elif note.what == "C" and note.id in writes:
            write = writes.pop(note.id)
            if write.dsync:
                durable.add(len(completed))
            completed.append((write.number, write.data[:max(note.number, 0)]))
        elif note.what == "C" and note.number == 0:
            durable.update(range(fsyncs[note.id]))
    for index in sorted(durable):
        offset, data = completed[index]
        image[offset:offset + len(data)] = data
    return image
