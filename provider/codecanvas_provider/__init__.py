"""The `codecanvas` Pulumi plugin."""
