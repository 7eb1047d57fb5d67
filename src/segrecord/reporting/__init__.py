"""What people look at: pictures and summaries."""
