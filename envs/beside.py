"""`.venv-bench/bin/python envs/beside.py FOLDER`: let this environment import what another one's folder holds, too."""

import sys
import sysconfig
from pathlib import Path

Path(sysconfig.get_path("purelib"), "easel.pth").write_text(f"{sys.argv[1]}\n")
