"""The pieces of the local cluster; `tools.cluster` puts them together."""
