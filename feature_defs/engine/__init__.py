"""How features are computed: kernel, offline, online, stores. No Dagster, no BentoML."""
