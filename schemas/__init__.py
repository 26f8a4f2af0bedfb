"""Contracts between the rooms: tables, parameters, reasons, time base, fingerprints. Imports no other room."""
