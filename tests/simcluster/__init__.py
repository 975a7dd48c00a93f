"""A simulated OpenShift Virtualization cluster: the Kubernetes API over HTTP, and controllers beside it."""
