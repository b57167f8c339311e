from tests.store.conftest import ram_folder, ram_path

__all__ = ["ram_folder", "ram_path"]
