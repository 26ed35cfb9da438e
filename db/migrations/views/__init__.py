"""Views of version 1 of schema ``reporting``, which migration 0012 creates; a later migration brings its own."""
