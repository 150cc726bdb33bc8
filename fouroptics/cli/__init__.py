"""The command line: ``fouroptics new | check | schedule | cost | schema | table | simulate | plot | masks ...``.

What is heavy is imported by the command that needs it. An error is one message on stderr and the exit code 1, a wrong
call 2. Each file is written whole or not at all.

=======  =========================================================
app      the application, its errors, what the commands share
bench    commands about a bench
make     the compiler of masks
masks    commands about mask files
correct  phases added to masks
sheets   commands about runs of masks and images, and their frames
=======  =========================================================
"""

from fouroptics.cli import bench as bench
from fouroptics.cli import correct as correct
from fouroptics.cli import make as make
from fouroptics.cli import masks as masks
from fouroptics.cli import sheets as sheets
from fouroptics.cli.app import app as app
