"""UTF-8 whatever the locale: names of files and classes, and all that is printed."""

from __future__ import annotations

import os
import sys


def restart_in_utf8() -> None:
    """Run this command again in Python's UTF-8 mode where the locale has another encoding; processes inherit it."""
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
