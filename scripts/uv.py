"""Run the pinned uv with pip's configuration: its index, certificates and wheel folders.

uv does not read pip's configuration. People behind a mirror have configured pip, and `make setup`
should not need their settings a second time. They are passed in the process's environment; nothing
is written. uv's own settings always win.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "trusted-host": "UV_INSECURE_HOST",
}


def pip_settings() -> dict[str, str]:
    """Read pip's settings, by option; the environment wins over pip's files."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    # S603: the command is fixed.
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
    settings: dict[str, str] = {}
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if section in {"global", "install", ":env:"}:
            settings[option] = " ".join(str(ast.literal_eval(value)).split())
    return settings


def main() -> None:
    """Replace this process with uv."""
    root = Path(__file__).resolve().parent.parent
    environment = dict(os.environ)
    # Write only to this clone, and never let uv download a Python.
    environment.setdefault("UV_CACHE_DIR", str(root / ".cache" / "uv"))
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    environment["VIRTUAL_ENV"] = str(root / ".venv")
    for option, value in pip_settings().items():
        if option in ENVIRONMENT and value:
            environment.setdefault(ENVIRONMENT[option], value)
    uv = root / ".venv" / "bin" / "uv"
    os.execve(uv, [str(uv), *sys.argv[1:]], environment)  # noqa: S606 - the pinned uv, no shell


if __name__ == "__main__":
    main()
