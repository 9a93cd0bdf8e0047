"""Rules that limit what the networks' T may be."""
