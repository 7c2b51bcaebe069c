"""How a command that reads the daemon's records ends, whatever comes of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from edgewatch.config.errors import ConfigError
from edgewatch.daemon.exits import EX_CONFIG, EX_FAILED, EX_OK
from edgewatch.pipeline.errors import StoreError


def exit_code_of(command: str, run: Callable[[], int]) -> int:
    """Run the command and return its exit code; what a person can mend is told, with no traceback.

    78 for wrong settings, 1 for records that cannot be read, 0 where the reader has enough.
    """
    try:
        return run()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EX_CONFIG
    except StoreError as error:
        sys.stderr.write(f"edgewatch {command}: {error}\n")
        return EX_FAILED
    except KeyboardInterrupt:
        return EX_OK
    except BrokenPipeError:
        # The reader (`head`) has enough. Python must not try to flush to it again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EX_OK
