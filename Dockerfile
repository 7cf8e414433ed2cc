# lmft on one NVIDIA GPU.
#   docker build -t lmft .
#   docker run --gpus all -p 127.0.0.1:8321:8321 -e LMFT_API_KEY=choose-one -v lmft-data:/data lmft
# The GPU driver stays on the host; torch and vLLM bring their own CUDA libraries.
FROM nvidia/cuda:13.0.1-base-ubuntu24.04

RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv python3-dev g++ \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 lmft \
 && install -d -o lmft -g lmft /app /data

USER lmft
WORKDIR /app
COPY --chown=lmft:lmft pyproject.toml README.md LICENSE ./
COPY --chown=lmft:lmft lmft ./lmft
COPY --chown=lmft:lmft serving ./serving
COPY --chown=lmft:lmft ui ./ui
COPY --chown=lmft:lmft recipes ./recipes
RUN python3 -m venv .venv \
 && .venv/bin/pip install --no-cache-dir --upgrade pip \
 && .venv/bin/pip install --no-cache-dir -e '.[gpu]'

ENV PATH=/app/.venv/bin:$PATH LMFT_HOME=/data HF_HOME=/data/huggingface PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8321
HEALTHCHECK --interval=15s --timeout=5s --start-period=10m --retries=4 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8321/readyz', timeout=4)"]
# Beyond loopback the server demands LMFT_API_KEY, so a container without one ends with that message.
CMD ["lmft", "serve", "--host", "0.0.0.0"]
