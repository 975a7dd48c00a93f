"""Cases that are put to the simulated API and to a real one, whose answers have to agree."""
