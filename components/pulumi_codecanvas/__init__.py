"""Computing platforms for JetBrains CodeCanvas, declared with Pulumi."""
