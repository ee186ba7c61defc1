# syntax=docker/dockerfile:1

# Builds in one image, runs in another: no compiler, no build tools and no sources where keys are.
ARG PYTHON=3.13-slim

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# Dependencies first: they change less often than the code, and this layer stays.
COPY requirements/ requirements/
RUN python -m venv /opt/bursar \
 && /opt/bursar/bin/python -m pip install --require-hashes --only-binary :all: -r requirements/runtime.txt \
 && python -m pip install --require-hashes --only-binary :all: -r requirements/build.txt

COPY pyproject.toml README.md LICENSE ./
COPY policies/ policies/
COPY proxy/ proxy/
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/bursar/bin/python -m pip install --no-deps --no-index /wheels/*.whl \
 && /opt/bursar/bin/python -m compileall -q /opt/bursar


FROM python:${PYTHON}
LABEL org.opencontainers.image.title="Bursar" \
      org.opencontainers.image.description="A reverse proxy that keeps LLM spending inside budgets" \
      org.opencontainers.image.licenses="Apache-2.0"

# A fixed number, so that volumes and runAsNonRoot can name it.
RUN groupadd --system --gid 10001 bursar \
 && useradd --system --uid 10001 --gid bursar --no-create-home --home-dir /var/lib/bursar bursar \
 && install -d -o bursar -g bursar /var/lib/bursar

COPY --from=build /opt/bursar /opt/bursar
COPY config/container.yaml /etc/bursar/bursar.yaml
COPY config/policies.d/ /etc/bursar/policies.d/

ENV PATH=/opt/bursar/bin:$PATH \
    BURSAR_CONFIG=/etc/bursar/bursar.yaml \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# The one place that is written to: the root file system may be read-only.
VOLUME /var/lib/bursar
WORKDIR /var/lib/bursar
USER 10001:10001
EXPOSE 8080 8081

# The image has no curl; Python is there anyway. urlopen raises, and so exits 1, on any status from 400.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8081/healthz', timeout=2)"]

# SIGTERM drains: open streams end, their calls are settled.
STOPSIGNAL SIGTERM
ENTRYPOINT ["bursar"]
CMD ["serve"]
