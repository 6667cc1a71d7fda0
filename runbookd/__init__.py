"""Code shared by the exporter, the remediator and `runbookctl`; it imports none of them."""
