"""The format: TFRecord framing, the Example codec, the schemas' feature keys, the manifest."""
