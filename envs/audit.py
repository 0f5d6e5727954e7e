"""`make audit`: known vulnerabilities of the locked dependencies, by pip-audit; only unlisted ones are a failure.

Exit code 0: none, or all are in audit-allowed.txt, each with its reason. 1: one that is not. 2: a mistake in the list.
3: the database of advisories could not be asked, so nothing was audited.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).parent
LOCKED = HERE / "requirements.txt"
UNLISTED, MISTAKE, NOT_AUDITED = 1, 2, 3
TIMEOUT = 900
"""Seconds for all of the database's answers."""


@dataclass(frozen=True)
class Advisory:
    """A known vulnerability of one of the locked versions."""

    package: str
    names: tuple[str, ...]
    fixed: str

    def __str__(self) -> str:
        return f"{self.package}: {' '.join(self.names)} (fixed in {self.fixed})"


def end(code: int, message: str) -> NoReturn:
    """One line, then the exit code."""
    print(f"easel: audit: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


def main() -> None:
    """Ask, compare with the list, tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pip-audit", default="pip-audit", help="the program")
    parser.add_argument("--allowed", type=Path, default=HERE / "audit-allowed.txt", help="advisories with reasons")
    arguments = parser.parse_args()
    reasons = dict(allowed(arguments.allowed))
    content = report(arguments.pip_audit)
    found = list(advisories(content))
    unlisted = [advisory for advisory in found if not reasons.keys() & set(advisory.names)]
    for name, reason in reasons.items():
        concerned = [advisory.package for advisory in found if name in advisory.names]
        print(f"allowed: {name} of {', '.join(concerned)}: {reason}" if concerned else f"no longer needed: {name}")
    for advisory in unlisted:
        print(f"  {advisory}", file=sys.stderr)
    if unlisted:
        end(
            UNLISTED,
            f"{len(unlisted)} advisories; `make lock`, or a line with a reason in {arguments.allowed}",
        )
    skipped = [package for package in content["dependencies"] if "skip_reason" in package]
    if skipped:  # with exit code 0: pip-audit takes a database that knows nothing for one that knows of nothing
        of = f"{len(skipped)} of {len(content['dependencies'])} packages"
        end(NOT_AUDITED, f"NOT AUDITED: {of}, for instance: {skipped[0]['skip_reason']}; try again with a network")
    print(f"easel: audit: {len(found)} known vulnerabilities in {LOCKED.name}, all listed")


def allowed(file: Path) -> Iterator[tuple[str, str]]:
    """(advisory, reason) of each line."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        name, _, reason = line.partition("#")[0].strip().partition(" ")
        if name and not reason.strip():
            end(MISTAKE, f"{file}:{number}: {name} has no reason; write one after it")
        if name:
            yield name, reason.strip()


def report(program: str) -> Any:
    """What pip-audit says of every locked package, as its JSON; ends this program where there is no answer."""
    command = [program, "--requirement", str(LOCKED), "--disable-pip", "--require-hashes", "--format", "json"]
    try:
        done = subprocess.run(
            [*command, "--progress-spinner", "off"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT,
        )
        content = json.loads(done.stdout)
        if not isinstance(content["dependencies"], list):
            raise ValueError("no list of dependencies")
    except OSError as error:
        end(NOT_AUDITED, f"NOT AUDITED: {program}: {error.strerror}; run `make audit`, which installs it")
    except subprocess.TimeoutExpired:
        end(NOT_AUDITED, f"NOT AUDITED: no answer within {TIMEOUT} s; try again when the network is there")
    except (ValueError, LookupError, TypeError):
        said = (done.stderr.strip() or "it said nothing").splitlines()[-1][:300]
        end(NOT_AUDITED, f"NOT AUDITED: the database of advisories did not answer ({said}); try again with a network")
    return content


def advisories(content: Any) -> Iterator[Advisory]:
    """Every vulnerability in a report."""
    for package in content["dependencies"]:
        for found in package.get("vulns", []):
            names = (found["id"], *found.get("aliases", []))
            fixed = ", ".join(found.get("fix_versions", [])) or "no version yet"
            yield Advisory(f"{package['name']} {package['version']}", names, fixed)


if __name__ == "__main__":
    main()
