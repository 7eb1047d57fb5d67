"""Facts into findings: what is wrong with the files, the masks, the classes and the splits."""
