"""The shipped agent under a real server: restarted when needed, gone with its server."""

import signal

import psutil

from tests.conftest import StartServer
from tests.programs.server_process import ServerProcess


def agent_of(server: ServerProcess) -> psutil.Process:
    """Return the agent's process, once it has connected."""
    server.wait_for("worker connected")
    (agent,) = psutil.Process(server.process.pid).children()
    return agent


def test_an_agent_that_dies_comes_back_and_ends_with_its_server(start_server: StartServer) -> None:
    """The server restarts a killed agent; a killed server's agent ends by itself."""
    server = start_server(VOXQL_AGENT="local")
    first = agent_of(server)
    server.lines.clear()

    first.send_signal(signal.SIGKILL)

    server.wait_for("the agent was ended by signal 9; starting it again")
    second = agent_of(server)
    assert second.pid != first.pid

    server.kill()

    gone, left = psutil.wait_procs([second], timeout=60)
    assert (gone, left) == ([second], [])
