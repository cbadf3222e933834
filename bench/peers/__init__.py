"""Other implementations that flatbook's kernels are measured against."""
