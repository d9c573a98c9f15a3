"""The `voxql` command; each subcommand imports what it needs, so that `--help` is quick."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

if TYPE_CHECKING:
    from settings import Settings

FAILED: Final = 1
CANNOT_RUN: Final = 78

app = typer.Typer(
    name="voxql",
    help="The GraphQL backend for voice agents. Settings are environment variables, VOXQL_...; "
    "docs/settings.md lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's frames cost a quarter of a second
)
users = typer.Typer(help="Manage accounts.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(users, name="user")
tokens = typer.Typer(help="Manage API tokens.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(tokens, name="token")


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"VoxQL {_version()}")
        raise typer.Exit


def _version() -> str:
    from importlib.metadata import version

    return version("voxql")


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Handle the options before the command."""


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (VOXQL_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0: a free one (VOXQL_PORT).")] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=256, help="Number of server processes; several need Redis.")
    ] = 1,
    inherited: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Start the server, and the agent with it; Ctrl-C ends both.

    With several workers, SIGHUP restarts one after the other.
    """
    # So far the process has only used the CPU, so its CPU time tells when it began.
    began = time.perf_counter() - time.process_time()
    settings = _settings(host=host, port=port)
    if inherited is not None:
        from serving.process.workers import serve_as_worker

        serve_as_worker(settings, inherited)
        return
    from serving.process.run import run
    from serving.process.steps import Steps

    print(f"VoxQL {_version()}, data in {settings.data_dir}")
    steps = Steps(began)
    steps.done("command", "loaded", since=began)
    if workers == 1:
        run(settings, steps)
    else:
        from serving.process.workers import supervise

        supervise(settings, workers, steps)


@app.command()
def agent(
    url: Annotated[
        str | None, typer.Option(envvar="VOXQL_URL", help="The server (default: the local one).")
    ] = None,
    livekit: Annotated[
        bool, typer.Option("--livekit", help="Run as a LiveKit worker (LIVEKIT_...).")
    ] = False,
    end_with_parent: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Run the voice agent alone, for a server elsewhere."""
    if end_with_parent:
        from serving.process.child import end_with_parent as end_with_the_parent

        end_with_the_parent()
    settings = _settings()
    if livekit and (missing := _missing_of_livekit(settings)):
        _say(f"voxql agent --livekit needs {', '.join(missing)}; see docs/settings.md")
        raise typer.Exit(CANNOT_RUN)
    try:
        from agent import LiveKitSettings, LlmSettings, run_agent, run_livekit_agent
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in {"livekit", "numpy", "openai"}:
            _say(f"The agent's packages are not installed (no module {error.name}): make setup")
            raise typer.Exit(CANNOT_RUN) from None
        raise
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else ""
    model = LlmSettings(settings.llm_base_url, settings.llm_model, key)
    llm = model if settings.llm_model else None
    name, places, greets = settings.agent_name, settings.agent_places, settings.greeting
    hears, says = settings.recogniser, settings.voice
    if livekit and settings.livekit_api_secret:
        secret = settings.livekit_api_secret.get_secret_value()
        where = LiveKitSettings(settings.livekit_url, settings.livekit_api_key, secret)
        work = run_livekit_agent(
            where, name, places, llm, recogniser=hears, voice=says, greets=greets
        )
    else:
        server, key = url or settings.public_url, settings.worker_secret()
        work = run_agent(
            server, key, [name], places, llm, recogniser=hears, voice=says, greets=greets
        )
    if not end_with_parent:
        _say(f"answers: {settings.mind()}")  # the server prints this for the agent that it starts
    _until_stopped(work)


def _missing_of_livekit(settings: "Settings") -> list[str]:
    """Return the names of the missing LiveKit settings."""
    needed = {
        "LIVEKIT_URL": settings.livekit_url,
        "LIVEKIT_API_KEY": settings.livekit_api_key,
        "LIVEKIT_API_SECRET": settings.livekit_api_secret,
    }
    return [name for name, value in needed.items() if not value]


@app.command()
def talk(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="A recording to play to the agent. Without one: the microphone, or typed lines.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(envvar="VOXQL_URL", help="The server (default: the local one)."),
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for an agent that is not there yet.")
    ] = 20,
) -> None:
    """Talk with the agent from this terminal.

    The conversation is saved at the end and read back from the history. It belongs to a guest or,
    with an API token in VOXQL_TOKEN, to an account.
    """
    from terminal.talk import run

    server = url or f"http://127.0.0.1:{os.environ.get('VOXQL_PORT') or 8000}"
    raise typer.Exit(run(server, file, wait))


@app.command()
def migrate() -> None:
    """Bring the database's tables up to date.

    `voxql serve` does so by itself.
    """
    settings = _settings()
    from models.database import migrate as apply
    from models.engines import engine_of

    engine_of(settings.database_url).check_files()
    applied = asyncio.run(apply(settings.database_url))
    for name in applied:
        print(f"applied {name}")
    print("The database is up to date.")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where to write it; must not exist yet.")],
) -> None:
    """Copy the database into a file, while the server runs."""
    settings = _settings()
    from models.engines import engine_of

    size = engine_of(settings.database_url).copy(file)
    print(f"{file}: {size:,} bytes, checked.")


@app.command("copy-database")
def copy_database(
    source: Annotated[str, typer.Argument(metavar="FROM", help="URL of the database to copy.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="URL of an empty database.")],
) -> None:
    """Copy all data into another database, such as SQLite into PostgreSQL, or back.

    No server may run on either of them. An interrupted copy continues when it is begun again.
    """
    _settings()
    from models.copying import copy_database as copied
    from terminal.screens.copying import CopyProgress

    with CopyProgress() as progress:
        tables = asyncio.run(copied(source, target, progress.show))
    for table in tables:
        rest = f", {table.found:,} of them by an earlier copy" if table.found else ""
        print(f"{table.table}: {table.rows:,} rows{rest}")
    print("Everything was copied and checked. Start the server with VOXQL_DATABASE_URL set to TO.")


Email = Annotated[str, typer.Argument(help="The account's e-mail address.")]


@users.command("create")
def create_user(email: Email) -> None:
    """Create an account. Asks for its password."""
    _with_accounts(
        lambda accounts, backend: accounts.create_user(backend.clock, email, _password())
    )
    print(f"{email} can sign in now.")


@users.command("list")
def list_users() -> None:
    """List the accounts, the oldest first."""
    for user in _with_accounts(lambda accounts, backend: accounts.list_users()):
        print(f"{user.created_at:%Y-%m-%d}  {user.id}  {user.email}")


@users.command("reset-password")
def reset_password(email: Email) -> None:
    """Change an account's password, and sign it out everywhere."""
    _with_accounts(
        lambda accounts, backend: accounts.reset_password(backend.transactions, email, _password())
    )
    print(f"{email} has a new password and is signed out everywhere.")


@users.command("delete")
def delete_user(
    email: Email,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
) -> None:
    """Delete an account with all of its conversations."""
    if not yes:
        typer.confirm(f"Delete {email} and all of its conversations?", abort=True)
    _with_accounts(lambda accounts, backend: accounts.delete_user(backend.transactions, email))
    print(f"{email} is deleted.")


Scopes = Annotated[
    list[str] | None,
    typer.Option("--scope", help="What it may do. Repeat for more; all scopes by default."),
]


@tokens.command("create")
def create_token(
    email: Email,
    name: Annotated[str, typer.Option(help="Name of the token.")] = "voxql token create",
    scope: Scopes = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Days until it expires (default: never).")
    ] = None,
) -> None:
    """Create an API token for an account, and print its secret once."""
    from datetime import timedelta

    from resolvers.accounts.api_tokens import create_token_of
    from resolvers.viewer import TokenScope

    known = {one.value: one for one in TokenScope}
    if unknown := [one for one in scope or () if one not in known]:
        _fail(f"There is no scope {unknown[0]}; there are {', '.join(known)}.")
    scopes = [known[one] for one in scope or known]

    def create(_: Any, backend: Any) -> Awaitable[Any]:
        expires_at = None if days is None else backend.clock() + timedelta(days=days)
        return create_token_of(
            backend.clock, email, name=name, scopes=scopes, expires_at=expires_at
        )

    made = _with_accounts(create)
    _say(f"{made.api_token.id} acts for {email}. Its secret isn't shown again.")
    print(made.secret)


@tokens.command("list")
def list_tokens(email: Email) -> None:
    """List the API tokens of an account, the newest first."""
    from resolvers.accounts.api_tokens import tokens_of

    for token in _with_accounts(lambda *_: tokens_of(email)):
        end = f"until {token.expires_at:%Y-%m-%d}" if token.expires_at else "no end"
        print(f"{token.created_at:%Y-%m-%d}  {token.id}  {token.prefix}…  {end}  {token.name}")


@tokens.command("revoke")
def revoke_token(id: Annotated[str, typer.Argument(help="The token's id, `tok_…`.")]) -> None:
    """Revoke an API token. Its connections end within a second."""
    from resolvers.accounts import api_tokens

    _with_accounts(lambda _, backend: api_tokens.revoke_token(backend.transactions, id))
    print(f"{id} is revoked.")


def main() -> None:
    """Run the command; print expected errors as one sentence, without a traceback."""
    try:
        app()
    except Exception as error:
        if not isinstance(error, _expected_errors()):
            raise
        _fail(_sentence(error))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _sentence(error: Exception) -> str:
    """Return the error's message, without the system's error number."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}."
    return str(error)


def _expected_errors() -> tuple[type[Exception], ...]:
    from models.engine import CannotUse, NotAvailable, NotStored
    from resolvers.refusals import Refusal
    from serving.refusal import CannotServe
    from settings import SettingsError

    return (
        SettingsError,
        CannotServe,
        CannotUse,
        NotAvailable,
        NotStored,
        Refusal,
        FileExistsError,
        FileNotFoundError,
        PermissionError,
    )


def _settings(**given: object) -> "Settings":
    """Read the settings, warn about misspelt ones, and set up the log."""
    import settings

    for sentence in settings.misspelt():
        _say(sentence)
    values = settings.load(**given)
    from serving.process.logs import log_to_stderr

    log_to_stderr(values.log_level, values.log_format)
    return values


def _password() -> str:
    """Ask for a new password; from a pipe, read one line, for scripts."""
    if sys.stdin.isatty():
        return str(typer.prompt("New password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\n")


def _with_accounts(use: Callable[[Any, Any], Awaitable[Any]]) -> Any:
    """Call an accounts use case on the database, which a running server may also use."""
    settings = _settings()
    from asgi import build_app
    from models.database import migrate, opened
    from models.engines import engine_of
    from resolvers.accounts import authentication

    engine_of(settings.database_url).check_files()
    # This process holds no conversation; servers find in the database what it changes.
    alone = settings.model_copy(update={"redis_url": ""})

    async def work() -> Any:
        await migrate(settings.database_url)
        async with opened(settings.database_url):
            return await use(authentication, build_app(alone).state.backend)

    return asyncio.run(work())


def _until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run this until it ends; SIGTERM and Ctrl-C cancel it, so that it can clean up."""

    async def main_task() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    asyncio.run(main_task())


def _say(sentence: str) -> None:
    print(f"voxql: {sentence}", file=sys.stderr)


def _fail(sentence: str) -> NoReturn:
    _say(sentence)
    sys.exit(FAILED)


if __name__ == "__main__":
    main()
