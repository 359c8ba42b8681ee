"""Which rows a version learns from, and how it comes to be in the ledger. Fitting is in `ct_assets.learners`."""
