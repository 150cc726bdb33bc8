"""``python -m fouroptics`` is the command ``fouroptics``."""

from fouroptics.cli import app

if __name__ == "__main__":
    app(prog_name="fouroptics")
