"""Our peer, in Python."""

import json
from pathlib import Path

import pulumi

from pulumi_codecanvas import ComputingPlatform

for entry in json.loads(Path("platforms.json").read_text()):
    platform = ComputingPlatform(
        entry["name"],
        server_url=entry["serverUrl"],
        pod_template=entry["podTemplate"],
        chart=entry["chart"],
        token_version=entry["tokenVersion"],
        freeze=entry["freeze"],
        timeout=entry["timeout"],
    )
    pulumi.export(entry["name"], {"namespace": platform.namespace, "status": platform.release_status})
