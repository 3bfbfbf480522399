"""Runs a Pulumi program: `python run_program.py SETTINGS ENTRY-POINT [ARGUMENT...]`.

It is run by the program's own interpreter, so it imports nothing but the Pulumi SDK. The stack's config is in the
environment, where the SDK looks for it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

import pulumi
from pulumi import runtime

SHOWN = 32


def main() -> int:
    """Run the program; give the exit code that tells the language host how it went."""
    settings, program = json.loads(sys.argv[1]), sys.argv[2]
    sys.argv = sys.argv[2:]
    # This file's own folder, which is not the program's business.
    sys.path.pop(0)
    runtime.set_all_config(runtime.get_config_env(), runtime.get_config_secret_keys_env())
    runtime.configure(runtime.Settings(**settings))
    # A program that ends early leaves futures that nobody looks at; asyncio would tell the user of each.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    threads = ThreadPoolExecutor(max(settings["parallel"], 1) * 4)
    loop.set_default_executor(threads)
    try:
        loop.run_until_complete(runtime.run_in_stack(lambda: _run(program)))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return 1
    except Exception:  # noqa: BLE001 - a user's program may raise anything; it is told as it is
        pulumi.log.error(f"Program failed with an unhandled exception:\n{traceback.format_exc()}")
        return SHOWN
    finally:
        threads.shutdown(wait=True)
        loop.close()
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _run(program: str) -> None:
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    sys.exit(main())
