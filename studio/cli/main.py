"""The command `burnish`: dispatch, exit status, and how errors look."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from studio import __version__
from studio.cli.app import App, Window, print_error, print_failure
from studio.core.errors import BurnishError, Cancelled, ModelError

if TYPE_CHECKING:
    from studio.jobs.pool import JobPool

#: command to its module in `studio.cli.commands`; imported when used, so that --help stays quick
COMMANDS = {
    "devices": "detected hardware, with capabilities and what is missing for the rest",
    "calibrate": "measure this machine once, so that surveys expect by it",
    "passes": "every pass with its parameters, or one in full",
    "inspect": "what is in a model",
    "survey": "what each pass would touch and is expected to gain here",
    "optimize": "apply passes, verify each, write the result",
    "bench": "measure models in pairs with the first",
    "profile": "where the time of a model goes: every executed kernel, led back to its nodes",
    "explain": "why a model is slower or faster than another, in milliseconds for each cause",
    "sweep": "throughput against latency over batch, threads, streams and requests",
    "evaluate": "accuracy with confidence interval",
    "errors": "error of a variant at every tensor, and the first layer where it jumps",
    "sensitivity": "error and time of each layer in other forms, when it alone is changed",
    "disagreements": "samples on which two models differ, and the layer at which they part",
    "check-data": "whether data suits a model: ranges, channel order, labels",
    "compare": "models side by side: latency, accuracy, size, memory",
    "export": "write a bundle that runs without Burnish",
    "plugins": "what is installed, and what cannot be used and why",
    "cache": "the results that are kept: where, how large, and clearing them",
    "open": "open the studio on a model or project",
    "sample": "the bundled sample: in the studio, or the whole loop headless",
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order in which one uses them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"studio.cli.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; what looks like a path was meant to be opened."""
        name = args[0]
        if name not in COMMANDS and Path(name).suffix in (".onnx", ".burnish"):
            raise ModelError(f"There is no file {name}.", "Check the path.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="burnish")
def burnish() -> None:
    """Make trained neural networks small and fast on the machine in front of you.

    Without a command the studio opens: "burnish", "burnish MODEL.onnx", "burnish PROJECT.burnish".

    \b
    Examples:
      burnish devices
      burnish optimize model.onnx -o small.onnx --step prune.unstructured:sparsity=0.5 --bench
      burnish bench model.onnx small.onnx --device openvino:CPU
    """


def is_command(arguments: Sequence[str]) -> bool:
    """Say whether the arguments are for the command line and not for the window."""
    return bool(arguments) and (arguments[0] in COMMANDS or arguments[0].startswith("-"))


def run(arguments: Sequence[str], window: Window, pool: JobPool | None = None) -> int:
    """Run the command line; gives the exit status: 0 done, 1 the work failed or was stopped, 2 wrong usage.

    Jobs run on `pool`, which stays open; without one they have a pool of their own.
    """
    with App(window, pool) as app:
        try:
            result: Any = burnish.main(list(arguments), prog_name="burnish", obj=app, standalone_mode=False)
            return result if isinstance(result, int) else 0
        except BurnishError as error:
            print_error(app.console, error, debug=app.debug)
            return error.exit_code
        except click.exceptions.NoArgsIsHelpError as error:
            sys.stdout.write(error.format_message() + "\n")
            return 0
        except click.ClickException as error:
            return _usage(app.console, error)
        except (Cancelled, KeyboardInterrupt, click.Abort):
            app.console.print("Stopped; nothing was left half-written.", markup=False)
            return 1
        except BrokenPipeError:
            # Whoever reads stdout has gone; nor may Python try to flush it at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        except MemoryError:
            hint = "Close other programs, or use a smaller batch."
            print_failure(app.console, "There is not enough memory.", hint, debug=app.debug)
        except OSError as error:
            place = f"{error.filename} cannot be used" if error.filename else "The system refused"
            message = f"{place}: {error.strerror or error}."
            print_failure(app.console, message, "Check the path, its permissions and free space.", debug=app.debug)
        except Exception as error:
            text = " ".join(str(error).split())
            message = f"Unexpected {type(error).__name__}{f': {text[:300]}' if text else ''}"
            hint = "This is a fault of Burnish: run it again with --debug to see where, and report it."
            print_failure(app.console, message, hint, debug=app.debug)
        return 1


def _usage(console: Console, error: click.ClickException) -> int:
    console.print(f"error: {error.format_message()}", style="red", markup=False)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        console.print(f"  See '{error.ctx.command_path} --help'.", markup=False)
    return error.exit_code
