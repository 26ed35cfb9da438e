"""Views of version 1 of schema ``reporting``, as migration 0012 creates them."""
