"""What `perf/hostile` and `perf/soak` have in common: the proxy as a process, upstream servers, a client, memory."""
