"""What the regions of the fleet share. A change here reaches a region with its next `pulumi up`."""

from __future__ import annotations

import pulumi

pulumi.export("serverUrl", pulumi.Config().require("serverUrl"))
pulumi.export(
    "operatorValues",
    {"resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}},
)
