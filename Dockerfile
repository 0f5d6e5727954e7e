# Two images, with the exact versions of envs/. NOT TESTED: neither has been built or run yet.
#   docker build --target stage --tag easel:stage .   what compute nodes need: stages, no Snakemake, DVC or MLflow
#   docker build --target full --tag easel .          the whole workflow
#   docker run --rm -v "$PWD/results:/easel/results" -v "$PWD/data:/easel/data" easel

FROM python:3.11-slim AS base
ENV PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 OMP_NUM_THREADS=1

FROM base AS stage-packages
COPY envs/stage.txt /envs/
RUN python -m venv /venv && /venv/bin/pip install --require-hashes -r /envs/stage.txt

FROM base AS full-packages
COPY envs/requirements.txt /envs/
RUN python -m venv /venv && /venv/bin/pip install --require-hashes -r /envs/requirements.txt

FROM base AS stage
COPY --from=stage-packages /venv /venv
COPY pipeline /easel/pipeline
COPY pyproject.toml /easel/
ENV PATH=/venv/bin:$PATH PYTHONPATH=/easel
WORKDIR /project
ENTRYPOINT ["python", "-m", "pipeline"]
CMD ["--help"]

FROM base AS full
COPY --from=full-packages /venv /venv
COPY . /easel
ENV PATH=/venv/bin:$PATH
WORKDIR /easel
CMD ["snakemake", "--cores", "all", "results/tables/mnist.csv", "results/summary/mnist.txt", "results/report.html"]
