"""Run a program, and end it when another process has ended: `guard.py PID command…`.

Programs that a whole run of tests shares belong to no single process of it. If that run is killed,
this ends them. If this is killed, Linux ends them.
"""

import ctypes
import signal
import subprocess
import sys

import psutil

LOOK_S = 1.0
PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when its parent has ended."""


def die_with_parent() -> None:
    """Be killed when the parent ends. It is called in the child."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def is_running(pid: int) -> bool:
    """Whether there is such a process; one that has ended and was not waited for is none."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def main() -> int:
    """Return the program's exit status."""
    run, command = int(sys.argv[1]), sys.argv[2:]
    program = subprocess.Popen(command, preexec_fn=die_with_parent)
    signal.signal(signal.SIGTERM, lambda *_: program.terminate())
    while program.poll() is None:
        if not is_running(run):
            program.terminate()
        try:
            program.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            continue
    return program.returncode


if __name__ == "__main__":
    sys.exit(main())
