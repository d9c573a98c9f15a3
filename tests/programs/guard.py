"""Run a program and end it when another process has ended: `guard.py PID command…`.

Programs shared by a whole test run belong to no single process of it. The guard ends them if the
run is killed. Linux ends them if the guard is killed.
"""

import ctypes
import signal
import subprocess
import sys

import psutil

LOOK_S = 1.0
PR_SET_PDEATHSIG = 1
"""prctl(2): set the signal that a process gets when its parent ends."""


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends. Call it in the child."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def is_running(pid: int) -> bool:
    """Whether the process runs; zombies don't count."""
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
