"""The only place that changes the disk: parts, records, receipts, final names."""
