"""The shipped agent under a real server: there when it is needed, and never without its server."""

import signal

import psutil

from tests.conftest import StartServer
from tests.server_process import ServerProcess


def agent_of(server: ServerProcess) -> psutil.Process:
    """Return the agent's process, once it has connected."""
    server.wait_for("worker connected")
    (agent,) = psutil.Process(server.process.pid).children()
    return agent


def test_an_agent_that_dies_comes_back(start_server: StartServer) -> None:
    """The server goes on, says so in its log, and has a worker again."""
    server = start_server(VOXQL_AGENT="local")
    agent = agent_of(server)
    server.lines.clear()

    agent.send_signal(signal.SIGKILL)

    server.wait_for("the agent was ended by signal 9; starting it again")
    assert agent_of(server).pid != agent.pid


def test_an_agent_ends_with_its_server(start_server: StartServer) -> None:
    """Even when the server is killed and can't tell it."""
    server = start_server(VOXQL_AGENT="local")
    agent = agent_of(server)

    server.kill()

    gone, left = psutil.wait_procs([agent], timeout=10)
    assert (gone, left) == ([agent], [])
