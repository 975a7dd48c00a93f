"""What a cluster's API server asks others: the webhooks of KubeVirt and its operator, and the APIs they serve.

Beside the simulated API these are function calls. A real API server calls them over HTTPS; here is who answers.
"""
