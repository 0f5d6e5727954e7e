"""Let one environment import the packages of another: `python link_site_packages.py FOLDER`."""

import sys
import sysconfig
from pathlib import Path

Path(sysconfig.get_path("purelib"), "easel.pth").write_text(f"{sys.argv[1]}\n", encoding="utf-8")
