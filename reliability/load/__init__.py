"""Clients that put load on a service or probe it during a trial. Only the standard library is imported here.

Load runs in a process of its own, on a core of its own, beside the service.
"""
