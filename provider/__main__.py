"""Starts the plugin where Pulumi runs this folder; an installed one starts as `pulumi-resource-codecanvas`."""

from __future__ import annotations

from codecanvas_provider.__main__ import main

main()
