"""S3 over HTTP."""

from tests.support.s3 import bucket, moto_url, s3_client, s3_endpoint

__all__ = ["bucket", "moto_url", "s3_client", "s3_endpoint"]
