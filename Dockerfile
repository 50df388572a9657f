# dcae with CUDA 13.0, cuDNN 9 and, where its package index is given, TensorRT 10, in versions that fit together:
# constraints-gpu.txt says why each.
#
#   docker build -t dcae .                                    # CUDA
#   docker build -t dcae --build-arg TENSORRT_INDEX=URL .     # CUDA and TensorRT
#   docker run --rm --gpus all -v "$PWD:/work" -v dcae-cache:/cache dcae doctor
#
# The host brings the NVIDIA driver, 580 or newer, and the NVIDIA Container Toolkit; all else is in the image.
FROM python:3.12.11-slim-bookworm

# Which of the driver's libraries the toolkit puts into the container: libcuda, and NVML for the driver's version.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    XDG_CACHE_HOME=/cache

COPY constraints-gpu.txt /tmp/
COPY pyproject.toml README.md LICENSE /src/
COPY dcae_export /src/dcae_export

# TensorRT's wheels of version 10 lie in NVIDIA's own package index only, whose address its installation guide states.
ARG TENSORRT_INDEX=
RUN if [ -n "$TENSORRT_INDEX" ]; then set -- --extra-index-url "$TENSORRT_INDEX" '/src[tensorrt]'; else set -- '/src[gpu]'; fi \
    && pip install --constraint /tmp/constraints-gpu.txt "$@" \
    && rm -rf /src /tmp/constraints-gpu.txt

# Engines are machine code: the cache belongs to the one user that writes it.
RUN useradd --create-home --uid 1000 dcae && install --directory --owner dcae --mode 0700 /cache /work
USER dcae
WORKDIR /work
VOLUME /cache

ENTRYPOINT ["dcae"]
CMD ["doctor"]
