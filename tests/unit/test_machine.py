"""What the machine's own files say of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.runtime.machine import network_disk

MOUNTS = """/dev/vda1 / ext4 rw 0 0
server:/lab /lab nfs4 rw 0 0
/dev/sdb /lab/local xfs rw 0 0
server:/scratch /scratch lustre rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/home/a", None), ("/lab", "nfs4"), ("/lab/a/b", "nfs4"), ("/lab/local/a", None), ("/laboratory", None),
     ("/scratch/x", "lustre")],
)  # fmt: skip
def test_the_disk_of_a_path_is_that_of_the_longest_mount_above_it(path: str, kind: str | None, tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)
    assert network_disk(Path(path), tmp_path / "mounts") == kind
    assert network_disk(Path(path), tmp_path / "none") is None
