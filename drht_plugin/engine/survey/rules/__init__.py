"""What T may be, whatever the networks say."""
