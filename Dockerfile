# The service alone: app/ and models/, no training, no data set.
#
#   docker build -t gan-service .                                            CPU
#   docker build -t gan-service --build-arg TORCH_INDEX_URL=<index> --build-arg DEVICE=cuda .      CUDA
#
# torch comes from the index that pip is configured with. PyTorch publishes one index for each build, CPU or a version of
# CUDA; its install page lists their addresses. PyPI's own build for x86-64 Linux runs on the CPU too, but carries CUDA's
# libraries: name the CPU index in TORCH_INDEX_URL for an image of a fifth of the size.

ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG TORCH=torch==2.13.0
ARG TORCH_INDEX_URL=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python3 -m venv /opt/gan
COPY constraints.txt pyproject.toml ./
# A pip.conf given as the secret `pip` is used for this step and kept in no layer.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,required=false \
    /opt/gan/bin/pip install --constraint constraints.txt ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} "$TORCH"
# The dependencies of the service as pyproject.toml names them, without the project itself.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,required=false \
    /opt/gan/bin/python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print('\n'.join(p['dependencies'] + p['optional-dependencies']['app']))" > requirements.txt \
    && /opt/gan/bin/pip install --constraint constraints.txt --requirement requirements.txt \
    && /opt/gan/bin/pip uninstall --yes pip setuptools

FROM ${BASE}
ARG DEVICE=cpu
LABEL org.opencontainers.image.title="gan-service" \
      org.opencontainers.image.description="Samples of a GAN's generator and its discriminator's scores, over HTTP" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/gan/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GAN_HOST=0.0.0.0 \
    GAN_PORT=8000 \
    GAN_DEVICE=${DEVICE}
COPY --from=build /opt/gan /opt/gan
WORKDIR /srv
COPY app/ app/
COPY models/ models/
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"GAN_PORT\"]}/readyz', timeout=2)"]
ENTRYPOINT ["python", "-m", "app"]
