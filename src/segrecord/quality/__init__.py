"""What reading the files once shows, and what a person should know of it."""
