"""Finding, following and cutting out faces: the parts of the `faces` stage."""
