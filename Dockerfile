# One image for both daemons and runbookctl. Override the base to pin it by digest or to use a mirror.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
RUN python -m venv /opt/runbookd
COPY requirements-runtime.lock pyproject.toml README.md ./
RUN /opt/runbookd/bin/pip install --no-cache-dir --require-hashes --requirement requirements-runtime.lock
COPY runbookd runbookd
COPY exporter exporter
COPY remediator remediator
COPY runbookctl runbookctl
COPY alert_rules alert_rules
COPY deploy deploy
COPY docs docs
COPY grafana/dashboards grafana/dashboards
COPY grafana/provisioning grafana/provisioning
# setuptools builds the project's wheel here and stays out of the final stage.
RUN python -m venv /tmp/builder \
 && /tmp/builder/bin/pip install --no-cache-dir "setuptools>=75" \
 && /tmp/builder/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /tmp/wheels . \
 && /opt/runbookd/bin/pip install --no-cache-dir --no-deps /tmp/wheels/*.whl \
 && /opt/runbookd/bin/pip uninstall --yes pip setuptools

FROM ${PYTHON_IMAGE}
# run_backup starts pg_dump and pg_restore. Debian keeps only the newest version of a release, so a pinned one would soon be
# gone; PYTHON_IMAGE pins the base by digest.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends postgresql-client \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/runbookd /opt/runbookd
ENV PATH=/opt/runbookd/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN mkdir -p /var/lib/runbookd && chown 65532:65532 /var/lib/runbookd
WORKDIR /var/lib/runbookd
# A numeric user, so that Kubernetes can verify runAsNonRoot.
USER 65532:65532
EXPOSE 9850 9851
CMD ["runbook-exporter"]
