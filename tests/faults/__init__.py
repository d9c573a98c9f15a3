"""Faults on purpose: killed servers, cut connections, readers that are slow or gone."""
