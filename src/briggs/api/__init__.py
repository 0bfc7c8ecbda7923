"""The faces: who may come in, and what each address answers."""
