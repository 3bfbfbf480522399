"""Stand-ins for two parts of Pulumi that no package registry serves, for development and CI only.

`python_host` stands in for Pulumi's language host for Python, `kubernetes` for Pulumi's kubernetes plugin. They are
taken where the real ones cannot be had, and never otherwise unless `CODECANVAS_STAND_INS` asks for them. Nothing of
this is part of the distribution.
"""
