"""`drht worker`: serve programs over stdin and stdout, or a socket (docs/worker-protocol.md)."""
