"""Amazon S3 over a folder of plain files."""
