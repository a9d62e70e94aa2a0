"""The program `edge-agent`. What reads files and command lines is a third of the agent, and is done with in a moment.

So `edge-agent run` reads them in a child process, which ends, and the agent itself loads none of that.
"""

from __future__ import annotations

import importlib
import os
import sys

from edge_agent.errors import EXIT_CONFIG, ConfigError

READ, WRONG, ENDED = range(3)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["run"] and not {"-h", "--help"} & set(given):
        return _run(given)
    from edge_agent import command_line

    return command_line.main(given)


def _run(arguments: list[str]) -> int:
    what, status, said = _read_apart(arguments)
    if what == ENDED:
        return status
    if what == WRONG:
        print(said.decode(), file=sys.stderr)
        return EXIT_CONFIG
    import asyncio

    names, said = said.split(b"\n", 1)
    _load_only(names.decode().split())
    import msgspec

    from edge_agent import agent
    from edge_agent.contract import logs
    from edge_agent.device_config import DeviceConfig

    config, form = msgspec.msgpack.decode(said, type=tuple[DeviceConfig, str])
    logs.begin(form)
    try:
        asyncio.run(agent.run(config))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_CONFIG
    except KeyboardInterrupt:  # before the agent listens for it
        from edge_agent.errors import EXIT_INTERRUPTED

        return EXIT_INTERRUPTED
    return 0


def _load_only(modules: list[str]) -> None:
    """Load of the drivers these alone, and of msgspec not what it finds in `typing` just as well: a megabyte."""
    from edge_agent.station import drivers

    drivers.wanted = frozenset(modules)
    if "typing_extensions" not in sys.modules:
        sys.modules["typing_extensions"] = None  # type: ignore[assignment]
        importlib.import_module("msgspec")
        del sys.modules["typing_extensions"]


def _read_apart(arguments: list[str]) -> tuple[int, int, bytes]:
    """Read the configuration in a child: what came of it, the exit status, the configuration or what is wrong."""
    ours, its = os.pipe()
    if (child := os.fork()) == 0:
        _read(arguments, its)
    os.close(its)
    with os.fdopen(ours, "rb") as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return (said[0], status, said[1:]) if said and status == 0 else (ENDED, status, b"")


def _read(arguments: list[str], pipe: int) -> None:
    """Be the child."""
    status = 1
    try:
        import msgspec

        from edge_agent import command_line

        try:
            config, form = command_line.read_box(arguments)
            sensors = config.station.sensors.values() if config.station is not None else ()
            modules = " ".join({type(sensor).__module__ for sensor in sensors})
            said = bytes([READ]) + modules.encode() + b"\n" + msgspec.msgpack.encode((config, form))
        except ConfigError as error:
            said = bytes([WRONG]) + str(error).encode()
        with os.fdopen(pipe, "wb") as out:
            out.write(said)
        status = 0
    except SystemExit as asked:  # wrong arguments, or --help
        status = asked.code if isinstance(asked.code, int) else 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
