"""What the exporter, the remediator and `runbookctl` share; it imports none of them."""
