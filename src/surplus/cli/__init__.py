"""The command line: a thin table of subcommands; nothing heavy is imported before one is chosen.

What lives here: `main`, which dispatches by name; one file per subcommand, each a dataclass of arguments and a `run`.
May import: every other room.
To add a subcommand: one file, and one row in `COMMANDS`.
"""

import importlib
import sys
import warnings

from surplus.base import InvalidArgument, SurplusError, UnknownName, closest

COMMANDS = {
    "demo": "Train a network on embedded data and see which of its units can go.",
    "train": "Train a network; its history is kept in a run folder.",
    "prune": "Remove units of a trained network by several criteria; cut it on request.",
    "measure": "Say how redundant a network is, where, and of what kind.",
    "export": "Write a model as ONNX or as a program of torch.export, checked by running it.",
    "runs": "List, show and delete runs.",
    "study": "Conduct a study: many replicas, controls, claims with verdicts.",
    "report": "Write all that is known about a run into one HTML file.",
    "cite": "Print the papers behind a criterion, a network, a data set, a study or a run.",
}
USAGE = 2
FAILED = 1
STOPPED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 failed, 2 wrong usage, 130 stopped."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if words[0] in ("-V", "--version"):
        from surplus import __version__

        print(f"surplus {__version__}")
        return 0
    name = words[0]
    if name not in COMMANDS:
        near = closest(name, COMMANDS)
        hint = f" Did you mean `{near}`?" if near else ""
        print(
            f"surplus: there is no command `{name}`.{hint} See `surplus --help`.", file=sys.stderr
        )
        return USAGE
    return _guarded(name, words[1:])


def _guarded(name: str, words: list[str]) -> int:
    """Run a subcommand; what a user can act upon is one line on standard error, never a traceback."""
    warnings.showwarning = _say_warning
    try:
        command = importlib.import_module(f"surplus.cli.{name}")
        status: int = command.run(words)
        return status
    except (InvalidArgument, UnknownName) as wrong:
        print(f"surplus {name}: {wrong}", file=sys.stderr)
        return USAGE
    except SurplusError as failed:
        print(f"surplus {name}: {failed}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(
            f"surplus {name}: stopped. Nothing is lost: the same command goes on from here.",
            file=sys.stderr,
        )
        return STOPPED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; there is nobody left to tell
        return FAILED


def _say_warning(message: object, *args: object, **kwargs: object) -> None:
    print(f"surplus: {message}", file=sys.stderr)


def _help() -> str:
    rows = "\n".join(f"  {name:<8} {sentence}" for name, sentence in COMMANDS.items())
    return (
        "Surplus finds, measures, removes, grows and shows the surplus in neural networks.\n\n"
        f"usage: surplus COMMAND [OPTIONS]\n\n{rows}\n\n"
        "`surplus COMMAND --help` explains a command. `surplus demo` is the place to begin."
    )
