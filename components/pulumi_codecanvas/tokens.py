"""The tokens of the package: the types of its resources, and the functions that its plugin serves."""

from __future__ import annotations

from typing import Final

COMPUTING_PLATFORM: Final = "codecanvas:index:ComputingPlatform"
CONNECTION_KEY: Final = "codecanvas:index:ConnectionKey"
CONNECTION_TEST: Final = "codecanvas:index:ConnectionTest"
DEV_ENVIRONMENTS: Final = "codecanvas:index:DevEnvironments"

GET_PLATFORM_STATUS: Final = "codecanvas:index:getPlatformStatus"
"""The one function that programs call; the others are asked by the component and its hooks."""

CLEAR_LEFTOVER: Final = "codecanvas:index:clearLeftover"
EXPLAIN_RELEASE: Final = "codecanvas:index:explainRelease"
FIND_MISSING_RIGHTS: Final = "codecanvas:index:findMissingRights"
IDENTIFY_CLUSTER: Final = "codecanvas:index:identifyCluster"
RECOVER_RELEASE: Final = "codecanvas:index:recoverRelease"
WATCH_RELEASE: Final = "codecanvas:index:watchRelease"
