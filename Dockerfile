# The service as a small image: built in one stage, run in another that has no compiler, no pip and no root.
# Its root may be read-only: it writes to /tmp, and to /data where no DATABASE_URL is given.
#     docker build -t llm-estimate .
#     docker run --read-only --tmpfs /tmp -p 127.0.0.1:5000:5000 -v llm-estimate:/data llm-estimate
ARG PYTHON=3.12.11-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY configs configs
ARG EXTRAS=postgres,redis
RUN python -m venv --without-pip /service \
    && pip --python /service/bin/python install --no-cache-dir --disable-pip-version-check ".[${EXTRAS}]"

FROM python:${PYTHON}
RUN pip uninstall --yes --quiet pip \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin service \
    && install --directory --owner service --group service /data
COPY --from=build /service /service
ENV PATH=/service/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=5000 \
    LLM_ESTIMATE_DATA=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health/live', timeout=2)"]
ENTRYPOINT ["llm-estimate"]
CMD ["serve"]
