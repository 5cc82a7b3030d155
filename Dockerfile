# The service only: app/, models/ and viewer/, without training and data sets.
#
#   docker build -t gan-service .                                                          CPU, the default
#   docker build -t gan-service --build-arg TORCH_INDEX_URL=<CPU index> .                  CPU, and much smaller
#   docker build -t gan-service --build-arg TORCH_INDEX_URL=<CUDA index> --build-arg DEVICE=cuda .
#
# DEVICE says where the networks run. TORCH_INDEX_URL decides which build of torch is installed: PyTorch publishes one
# index for the CPU and one for each version of CUDA, and its install page gives their addresses. Without this argument
# pip uses the indexes that it is configured for. Without any configuration it installs PyPI's build on x86-64 Linux,
# which runs on the CPU but contains gigabytes of CUDA libraries. That build also works with DEVICE=cuda if the driver
# supports its version of CUDA.

ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG TORCH=torch==2.13.0
ARG TORCH_INDEX_URL=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python3 -m venv /opt/gan
COPY constraints.txt pyproject.toml ./
# A pip.conf that is given as the secret `pip` is used in this step, and no layer keeps it. A build for one device has
# a local version, such as 2.13.0+cpu, which pip prefers to the plain version.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,required=false \
    /opt/gan/bin/pip install --constraint constraints.txt ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} "$TORCH"
# Install the dependencies of the service that pyproject.toml names, without the project itself.
# torch needs setuptools only to build C++ extensions, so it is removed with pip.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,required=false \
    /opt/gan/bin/python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print('\n'.join(p['dependencies'] + p['optional-dependencies']['app']))" > requirements.txt \
    && /opt/gan/bin/pip install --constraint constraints.txt --requirement requirements.txt \
    && /opt/gan/bin/pip check \
    && /opt/gan/bin/pip uninstall --yes pip setuptools

FROM ${BASE}
ARG DEVICE=cpu
LABEL org.opencontainers.image.title="gan-service" \
      org.opencontainers.image.description="Samples of a GAN's generator and its discriminator's scores, over HTTP" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT AND Apache-2.0 AND BSD-3-Clause"
ENV PATH=/opt/gan/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GAN_HOST=0.0.0.0 \
    GAN_PORT=8000 \
    GAN_DEVICE=${DEVICE}
COPY --from=build /opt/gan /opt/gan
WORKDIR /srv
# Everyone can read these files, whatever the umask of the checkout was, but only root can change them.
COPY --chmod=755 app/ app/
COPY --chmod=755 models/ models/
COPY --chmod=755 viewer/ viewer/
COPY --chmod=755 LICENSE NOTICE ./
COPY --chmod=755 LICENSES/ LICENSES/
# The user is a number, so that Kubernetes can check that it is not root.
USER 10001:10001
EXPOSE 8000
# This uses http.client, because urllib would go through the proxy that an engine may set in HTTP_PROXY.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['GAN_PORT']), timeout=4); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["python", "-m", "app"]
