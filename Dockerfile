# One image for the dashboard, the Dask scheduler and the Dask workers, so that all three run the same code.
# Any Debian base with Python 3.11 and its venv module will do; give one with a digest to pin it, too.
ARG BASE_IMAGE=python:3.11-slim-bookworm


FROM ${BASE_IMAGE} AS builder

# Bytecode is made here, since no container writes any: a worker then imports in a third of the time. Neither it nor its
# source changes any more, so they need not be compared at each start.
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never \
    PYC_INVALIDATION_MODE=UNCHECKED_HASH \
    VIRTUAL_ENV=/opt/greenup

# uv checks the hashes of a constraints file, which pip does not: the image gets what pyproject.toml asks for in the
# lock's versions, without the lock's extras. The hashes are the wheels for glibc on x86_64 and aarch64.
RUN python3 -m venv /opt/uv \
    && printf '%s' \
        'uv==0.13.9' \
        ' --hash=sha256:d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19' \
        ' --hash=sha256:ecb6028d79dc96fbeafffe5c8af62a7099487ebc05a701e76714eebcffd06375' \
        > /opt/uv/requirements.txt \
    && /opt/uv/bin/pip install --no-cache-dir --only-binary :all: --require-hashes -r /opt/uv/requirements.txt \
    && /opt/uv/bin/uv venv --python python3 "${VIRTUAL_ENV}"

WORKDIR /src
COPY pyproject.toml requirements.lock ./
RUN /opt/uv/bin/uv pip install --only-binary :all: --require-hashes --constraints requirements.lock -r pyproject.toml

COPY README.md LICENSE ./
COPY compute compute
COPY dashboard dashboard
RUN /opt/uv/bin/uv pip install --no-deps --require-build-hashes --build-constraints requirements.lock .

# The bill of materials: what the lock pins, with its hashes, and which of it this image has.
COPY assets/deploy/sbom.py assets/deploy/sbom.py
RUN mkdir -p "${VIRTUAL_ENV}/share/greenup" \
    && "${VIRTUAL_ENV}/bin/python" assets/deploy/sbom.py --installed requirements.lock \
        > "${VIRTUAL_ENV}/share/greenup/sbom.cdx.json"


FROM ${BASE_IMAGE}

LABEL org.opencontainers.image.title="Greenup" \
      org.opencontainers.image.description="Seasonal NDVI on a Dask cluster over Open Data Cube" \
      org.opencontainers.image.licenses="Apache-2.0"

# The GDAL inside rasterio's wheel wants the system's expat; every other library comes with the wheels.
# Debian's mirrors keep only the newest build of a stable package, so a pinned version would soon not install.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libexpat1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home greenup \
    && install --directory --owner=greenup --group=greenup /var/lib/greenup

COPY --from=builder /opt/greenup /opt/greenup

# Kernels are compiled for the processor they run on, which only the running container knows. /tmp is writable for any
# user, also where the rest of the file system is not.
ENV PATH=/opt/greenup/bin:${PATH} \
    GREENUP_HOME=/var/lib/greenup \
    NUMBA_CACHE_DIR=/tmp/numba \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# By number, so that Kubernetes can see that it is not root.
USER 1000:1000
WORKDIR /home/greenup

# `docker run IMAGE plan ...` is `greenup plan ...`; Dask Gateway hands over `dask scheduler` and `dask worker`.
ENTRYPOINT ["/bin/sh", "-c", "case $1 in dask*|python*|/*) ;; *) set -- greenup \"$@\" ;; esac; exec \"$@\"", "--"]
CMD ["--help"]
