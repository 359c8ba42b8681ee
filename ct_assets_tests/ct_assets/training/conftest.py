"""The fixtures of `release`: training needs the same lake and registry."""

from ct_assets_tests.ct_assets.release.conftest import fill, lake, registry, task

__all__ = ["fill", "lake", "registry", "task"]
