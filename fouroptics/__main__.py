"""``python -m fouroptics`` is the command ``fouroptics``."""

from fouroptics.cli import app

app(prog_name="fouroptics")
