"""Sources of images: folder, archive, manifest, upload and S3 prefix behind one interface."""
