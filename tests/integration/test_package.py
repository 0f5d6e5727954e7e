"""The package: pyproject.toml agrees with envs/, and a wheel holds every file that the code reads."""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT, run

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def wanted_by(file: str) -> Iterator[Requirement]:
    """The requirements of a file of envs/, those of files that it includes among them."""
    for line in (ROOT / "envs" / file).read_text().splitlines():
        text = line.split("#")[0].strip()
        if text.startswith("-r "):
            yield from wanted_by(text.removeprefix("-r "))
        elif text:
            yield Requirement(text)


def declared(*extras: str) -> dict[str, Requirement]:
    """Requirements of pyproject.toml by name: the package's own and those of some extras."""
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    found = [Requirement(line) for line in lines if not line.startswith("easel[")]
    return {canonicalize_name(item.name): item for item in found}


def locked(file: str) -> list[tuple[str, str]]:
    """(name, version) of every entry of a lock; a name has two where it depends on Python's version."""
    entries = re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "envs" / file).read_text(), re.MULTILINE)
    return [(canonicalize_name(name), version) for name, version in entries]


@pytest.mark.parametrize(("extras", "name"), [(("stage",), "stage"), (("stage", "all", "dev"), "requirements")])
def test_the_extras_name_and_allow_what_is_locked(extras: tuple[str, ...], name: str) -> None:
    ranges, versions = declared(*extras), locked(f"{name}.txt")
    assert set(ranges) == {canonicalize_name(item.name) for item in wanted_by(f"{name}.in")}
    assert set(ranges) <= {name for name, _ in versions}
    assert [f"{name} {v}" for name, v in versions if name in ranges and v not in ranges[name].specifier] == []
    assert "easel[stage]" in EXTRAS["all"] and "easel[all]" in EXTRAS["dev"]


def test_the_version_is_that_of_the_citation_and_of_the_changelog() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    releases = re.findall(r"^## (\d\S*) - (\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert (citation["version"], str(citation["date-released"])) == releases[0]
    assert releases[0][0] == PROJECT["version"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a wheel holds."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "pipeline", source / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = run([*build, "--disable-pip-version-check", "--wheel-dir", str(folder), str(source)], folder)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("easel-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_a_wheel_holds_every_file_of_the_package(installed: Path) -> None:
    files = {file.relative_to(ROOT) for file in (ROOT / "pipeline").rglob("*") if file.is_file()}
    files = {file for file in files if "__pycache__" not in file.parts}
    assert files == {file.relative_to(installed) for file in (installed / "pipeline").rglob("*") if file.is_file()}


def test_the_installed_command_answers_without_a_checkout(installed: Path, tmp_path: Path) -> None:
    (script,) = re.findall(r"^easel = (\S+)$", next(installed.glob("*/entry_points.txt")).read_text(), re.MULTILINE)
    module, function = script.split(":")
    (tmp_path / "easel").write_text(f"from {module} import {function}\n{function}()\n")
    for flag, said in (("--version", f"easel {PROJECT['version']}\n"), ("--help", "usage: easel ")):
        done = run([sys.executable, str(tmp_path / "easel"), flag], tmp_path, PYTHONPATH=str(installed))
        assert done.stdout.startswith(said), done.stderr


def test_ci_runs_the_makefiles_targets_on_the_python_versions_that_the_package_declares() -> None:
    workflows = {file.stem: yaml.safe_load(file.read_text()) for file in (ROOT / ".github/workflows").glob("*.yml")}
    targets = set(re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    runs = {
        name: {step["run"] for job in content["jobs"].values() for step in job["steps"] if "run" in step}
        for name, content in workflows.items()
    }
    assert {"lint": "make check", "tests": "make test", "docs": "make docs"}.items() <= {
        (name, line) for name, lines in runs.items() for line in lines
    }
    assert {"check", "test", "docs"} <= targets
    versions = [item.rsplit(" ", 1)[1] for item in PROJECT["classifiers"] if "Python :: 3." in item]
    assert workflows["tests"]["jobs"]["tests"]["strategy"]["matrix"]["python-version"] == versions


def test_the_dockerfile_copies_files_that_are_there() -> None:
    text = (ROOT / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE)
    included = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert copied and not [name for name in [*copied, *included] if not (ROOT / name).exists()]
    assert set(copied) - {"."} <= set(included)
    stages = re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE)
    assert {"stage", "full"} <= set(stages)
    assert set(re.findall(r"^(?:FROM|COPY --from=)\s?(base|\S+-packages) ", text, re.MULTILINE)) <= set(stages)
