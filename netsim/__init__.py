"""The simulator: many nodes of this product in one process, repeatable from one seed."""
