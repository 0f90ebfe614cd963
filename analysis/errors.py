# SPDX-License-Identifier: Apache-2.0
"""One sentence and an exit code instead of a traceback, with the exit codes of the C++ program."""

import argparse
import os
import sys


class UserError(Exception):
    """Something the user can mend; the text is printed as it is."""

    exit_code = 2


class FileSystemError(UserError):
    """The output could not be written."""

    exit_code = 5


class Parser(argparse.ArgumentParser):
    """A command line that is wrong is one sentence too, not the whole usage."""

    def error(self, message):
        raise UserError(f"{message} (--help shows all options)")


def call(main, program, arguments=None):
    """Runs `main(arguments)` and returns the process's exit code."""
    try:
        return main(arguments) or 0
    except UserError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        print(f"{program}: the Python package '{error.name}' is missing; `make deps` installs what is "
              "needed into .venv (or: pip install -r requirements.txt)", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{program}: interrupted, nothing was written", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `... | head` closed our output: not our failure, but nothing more can be said
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        print(f"{program}: out of memory; give it less text at a time", file=sys.stderr)
        return 1
