"""What developers of this project run: `python -m tools --help`. Nothing here is part of the distribution."""
