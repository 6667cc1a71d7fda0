"""Measurements that a machine decides; what must hold on every machine is a test."""
