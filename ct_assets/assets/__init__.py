"""Software-defined assets, thin: what they need, one call into plain code, and metadata worth looking at."""
