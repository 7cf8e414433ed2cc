"""Adapter in, HTTP out: vLLM behind a gateway.

engine/       vLLM as a child process: start, watch, load adapters, prove parity
vllm_plugin/  what lmft adds to vLLM
gateway/      FastAPI: OpenAI's routes and our own
watch/        metrics, logs, each adapter's traffic, and the way down
__main__.py   puts the processes together and mounts the pages
"""
