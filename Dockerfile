# The server, and with `--target agent` the voice agent that comes with it (docs/deployment.md).
#
#   docker build --tag voxql .
#   docker build --tag voxql-agent --target agent .

FROM node:22-bookworm-slim AS page
WORKDIR /app/frontend
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --no-fund --no-audit
COPY frontend/playground/package.json frontend/playground/package-lock.json playground/
RUN npm --prefix playground ci --no-fund --no-audit
COPY schema/schema.graphql /app/schema/
COPY frontend ./
RUN npm run build && npm --prefix playground run build

FROM python:3.12-slim-bookworm AS packages
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1
WORKDIR /app
COPY requirements/bootstrap.txt requirements/
# The environment has no pip: the last stage installs nothing.
RUN pip install --no-cache-dir --require-hashes --requirement requirements/bootstrap.txt \
 && python -m venv --without-pip /venv
COPY requirements requirements
RUN uv pip install --python /venv/bin/python --require-hashes --requirement requirements/server.txt
COPY pyproject.toml README.md LICENSE asgi.py cli.py settings.py ./
COPY agent agent
COPY agent_bridge agent_bridge
COPY hub hub
COPY models models
COPY resolvers resolvers
COPY schema schema
COPY serving serving
COPY terminal terminal
# The build backend comes from the pinned requirements, and stays out of /venv.
RUN uv pip install --python /venv/bin/python --no-deps \
        --build-constraints requirements/bootstrap.txt --editable .
COPY --from=page /app/frontend/dist frontend/dist
COPY --from=page /app/schema/playground/files schema/playground/files

FROM packages AS agent-packages
RUN uv pip install --python /venv/bin/python --require-hashes --requirement requirements/agent.txt \
 && uv pip install --python /venv/bin/python --require-hashes --only-binary :all: \
        --requirement requirements/recogniser.txt --requirement requirements/voice.txt

FROM python:3.12-slim-bookworm AS base
# Code and packages belong to root: the server can't change them. It writes to /data only, so the
# root file system may be read-only.
RUN useradd --system --uid 10001 --no-create-home --home-dir /data voxql \
 && install --directory --owner voxql --mode 700 /data
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    VOXQL_DATA_DIR=/data \
    VOXQL_HOST=0.0.0.0
WORKDIR /app
USER 10001
VOLUME /data

FROM base AS agent
COPY --from=agent-packages /venv /venv
COPY --from=agent-packages /app /app
ENTRYPOINT ["voxql"]
CMD ["agent", "--livekit"]

FROM base AS server
COPY --from=packages /venv /venv
COPY --from=packages /app /app
ENV VOXQL_AGENT=none
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["voxql"]
CMD ["serve"]
