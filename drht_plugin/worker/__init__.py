"""`drht worker`: serve another program over stdin and stdout (docs/worker-protocol.md)."""
