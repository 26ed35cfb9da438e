"""One chunk of images: leases, prefetch, batches through the pipeline, results."""
