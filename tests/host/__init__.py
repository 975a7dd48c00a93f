"""Modules, role and playbook for hosts on real kernels: namespaces of this one, and a User-Mode-Linux guest."""
