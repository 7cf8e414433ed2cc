"""What operators and owners see of the server, and how it goes down.

record.py    what is known of one request
requests.py  the outermost middleware: request id, log line, counts, the door while draining
log.py       one JSON line a request, to a file of bounded size
wanted.py    work that is cancelled once nobody waits for it
drain.py     the way down: no new requests, the running ones end
server.py    uvicorn, which goes down that way
meter.py     one answer of the engine, measured as it passes
loops.py     does a reply repeat itself?
sampling.py  which answers are asked for log-probabilities
traffic.py   each adapter's counts, kept across restarts
metrics.py   the gateway's own figures for Prometheus
engines.py   the figures of engines and adapters, read when Prometheus asks
relayed.py   those that vLLM itself has
watch.py     all of it in one place, for the application
"""
