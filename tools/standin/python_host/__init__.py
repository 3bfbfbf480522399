"""A stand-in for `pulumi-language-python`, Pulumi's language host for Python."""
