"""An independent auditor: it watches a cluster over HTTP during a run and records every rule that it sees broken.

It shares no code with the collection or with the simulated cluster, so that a mistake there is not repeated here.
"""
