"""Starts the plugin from the packages in `lib`, which are there for every Python that it runs on."""

import os
import sys

if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    sys.exit(
        f"pulumi-resource-codecanvas: {sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]};"
        " install one from 3.10 to 3.13, or name it in CODECANVAS_PYTHON"
    )
here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is slow to import
sys.path.insert(0, os.path.join(here, "lib"))  # noqa: PTH118 - as above

from codecanvas_provider.__main__ import main  # noqa: E402 - found in lib

main()
