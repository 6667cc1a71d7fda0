"""The webhook service: takes alerts, runs bounded remediations, proves and records what it did."""
