"""What agent and collector agree on. Imports nothing else of ours; everything else may import it."""
