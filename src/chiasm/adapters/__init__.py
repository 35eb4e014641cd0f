"""chiasm in other people's training loops: deficits injected by a hook, monitors for Lightning and for transformers.

Nothing is imported here: `chiasm.adapters.lightning` needs Lightning, `chiasm.adapters.transformers` needs
transformers, `chiasm.adapters.injection` needs neither.
"""
