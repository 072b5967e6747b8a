"""Everything about HTTP and the Hub; the only package that knows either."""
