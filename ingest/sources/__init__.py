"""Where images come from: folders, archives, manifests."""
