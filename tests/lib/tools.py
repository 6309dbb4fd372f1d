"""Clients that others wrote: libiscsi's tools, QEMU's, and what makes and checks file systems."""

import os
import subprocess

import environment


def run(name, *arguments, env=None, timeout=60, check=True, binary=False):
    """Runs a tool to its end. Its output, standard error included; with check=False the finished process."""
    command = [environment.tool(name), *map(str, arguments)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, **(env or {})}, timeout=environment.seconds(timeout), check=False)
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode(errors="replace")
        limit = environment.seconds(timeout)
        raise AssertionError(f"{' '.join(command)} did not end within {limit} s:\n{output}") from None
    if not binary:
        done.stdout = done.stdout.decode(errors="replace")
    if not check:
        return done
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout}")
    return done.stdout


def make_ext4_image(path, size, source):
    """An ext4 file system of `size` bytes with the files below `source`."""
    run("mke2fs", "-q", "-t", "ext4", "-d", source, path, f"{size // 1024}k", env={"E2FSPROGS_FAKE_TIME": "1700000000"})


def qemu_io(url, *commands, timeout=60, options=()):
    """Runs qemu-io commands on a raw disk; its output. A pattern that does not verify is an error."""
    arguments = ["-f", "raw", *options]
    for command in commands:
        arguments += ["-c", command]
    output = run("qemu-io", *arguments, url, timeout=timeout)
    if "verification failed" in output or "failed:" in output:
        raise AssertionError(f"qemu-io on {url}:\n{output}")
    return output
