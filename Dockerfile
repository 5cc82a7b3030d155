# The service alone: app/, models/ and viewer/, no training, no data set.
#
#   docker build -t gan-service .                                                          CPU, the default
#   docker build -t gan-service --build-arg TORCH_INDEX_URL=<CPU index> .                  CPU, and much smaller
#   docker build -t gan-service --build-arg TORCH_INDEX_URL=<CUDA index> --build-arg DEVICE=cuda .
#
# DEVICE is where the networks run; which build of torch is installed, TORCH_INDEX_URL decides. PyTorch publishes one
# index for the CPU and one for each version of CUDA; its install page gives their addresses. Without the argument pip
# takes what it is configured to find. With nothing configured that is, on x86-64 Linux, PyPI's own build: it runs on
# the CPU, but brings gigabytes of CUDA's libraries along. That build serves DEVICE=cuda as well, where its version of
# CUDA is the right one for the driver.

ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG TORCH=torch==2.13.0
ARG TORCH_INDEX_URL=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python3 -m venv /opt/gan
COPY constraints.txt pyproject.toml ./
# A pip.conf given as the secret `pip` is used for this step and kept in no layer. A build for one device has a local
# version, such as 2.13.0+cpu, which pip prefers to the plain one.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,required=false \
    /opt/gan/bin/pip install --constraint constraints.txt ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} "$TORCH"
# The dependencies of the service as pyproject.toml names them, without the project itself.
# torch asks for setuptools to build extensions in C++; nothing here does.
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
      org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/gan/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GAN_HOST=0.0.0.0 \
    GAN_PORT=8000 \
    GAN_DEVICE=${DEVICE}
COPY --from=build /opt/gan /opt/gan
WORKDIR /srv
# Readable whatever the umask of the checkout was; root's, so that the service cannot change them.
COPY --chmod=755 app/ app/
COPY --chmod=755 models/ models/
COPY --chmod=755 viewer/ viewer/
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8000
# http.client, because urllib would ask the proxy that an engine may set in HTTP_PROXY.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['GAN_PORT']), timeout=4); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["python", "-m", "app"]
