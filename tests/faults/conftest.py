"""What tests of kills and signals compare with: a training that nobody disturbed."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from tests.fork_server import ForkServer
from tests.small_trainings import Training, begun


@pytest.fixture(scope="session")
def undisturbed(fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Training]:
    """The training of a model, done once and not disturbed."""

    @functools.cache
    def of(model: str) -> Training:
        training = begun(tmp_path_factory.mktemp(model), model)
        assert fork_server.run(training.folder, *training.words) == 0, training.said
        return training

    return of
